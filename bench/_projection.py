"""What the parts of FMA take: time on two cores, room on the disk."""

from typing import Any

from bson import BSON

from etl.features import NAMES, VERSION
from etl.peaks import PEAKS

_GIB = 1024**3
# tracks, seconds of each that are analysed, GiB of the archive: FMA's README
_PARTS = {
    "small": (8_000, 30.0, 7.2),
    "medium": (25_000, 30.0, 22.0),
    "large": (106_574, 30.0, 93.0),
    "full": (106_574, 270.0, 879.0),
}
_CLIP_S = 30.0


def projections(clips_per_s: float) -> dict[str, dict[str, Any]]:
    """Return hours and GiB for each part of FMA, from clips of 30 s per second with two processes.

    Archive and unpacked files lie beside each other, and MP3 do not compress: twice the archive.
    """
    document = _document_bytes()
    return {
        name: {
            "tracks": tracks,
            "hours_on_two_cores": round(tracks * seconds / _CLIP_S / clips_per_s / 3600, 2),
            "processor_hours": round(2 * tracks * seconds / _CLIP_S / clips_per_s / 3600, 2),
            "archive_gib": archive,
            "disk_gib": round(2 * archive + tracks * document / _GIB, 1),
            "documents_gib": round(tracks * document / _GIB, 2),
        }
        for name, (tracks, seconds, archive) in _PARTS.items()
    }


def _document_bytes() -> int:
    """Return the size of the features and peaks of one track, before MongoDB compresses them."""
    features = {"_id": 1, "version": VERSION, "names": list(NAMES), "scaler_id": "0" * 64}
    numbers = {name: [0.1] * len(NAMES) for name in ("raw", "scaled")}
    return len(BSON.encode({**features, **numbers, "peaks": [255] * PEAKS}))
