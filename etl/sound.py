"""Give tracks their sound: extract features of their files, standardise, write. The demo and FMA share it."""

import asyncio
import hashlib
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from connections.documents import Database, answered
from etl import load, normalise
from etl.features import NAMES, VERSION, Extracted
from etl.pool import ClipFile, Outcome, extract_all
from etl.progress import meter
from schemas.documents import FEATURES, TRACKS, Audio, Features
from schemas.errors import UnreadableAudio

FIT_CLIPS = 2_000
"""The scaler is fitted on this many clips, drawn by hash: writing need not wait for the last one."""
_FLUSH = 200
_MIME = {".mp3": "audio/mpeg", ".flac": "audio/flac", ".ogg": "audio/ogg", ".wav": "audio/wav"}


@dataclass(frozen=True, slots=True)
class SoundFile:
    """The file of a track: where it lies, how its document names it, its key within the source."""

    clip: ClipFile
    key: str
    audio: Audio


@dataclass
class SoundReport:
    """What became of the files."""

    files: int = 0
    kept: int = 0
    extracted: int = 0
    changed: int = 0
    scaler_id: str | None = None
    rejected: dict[str, str] = field(default_factory=dict)

    @property
    def reasons(self) -> dict[str, int]:
        """Number of rejected files by kind of reason (what stands before the colon)."""
        return dict(Counter(reason.split(":")[0] for reason in self.rejected.values()).most_common())


def sound_file(
    track_id: int, path: Path, key: str, *, stored_as: str, expected_s: tuple[float, ...] = ()
) -> SoundFile:
    """Describe the file of a track; ``stored_as`` is the path in its document."""
    mime = _MIME.get(path.suffix.lower(), "application/octet-stream")
    audio = Audio(path=stored_as, mime=mime, bytes=path.stat().st_size)
    return SoundFile(ClipFile(track_id, path, expected_s), key, audio)


async def heard_tracks(database: Database) -> dict[int, Audio]:
    """Return the sound of each track whose features of the present version are stored."""
    found = database[FEATURES.name].find({"version": VERSION}, {"_id": 1})
    done = {document["_id"] for document in await answered(found.to_list(None), "reading features")}
    tracks = database[TRACKS.name].find({"audio": {"$ne": None}}, {"audio": 1})
    with_audio = await answered(tracks.to_list(None), "reading the catalogue")
    return {track["_id"]: track["audio"] for track in with_audio if track["_id"] in done}


async def load_sound(
    database: Database,
    files: Sequence[SoundFile],
    heard: Mapping[int, Audio],
    *,
    processes: int | None = None,
) -> SoundReport:
    """Extract, standardise and write the files that are new or have changed. Rejections are returned only.

    Parameters
    ----------
    files : one per track, whose documents exist already
    heard : as from ``heard_tracks``; a file equal to what is stored there is not read again
    processes : by default one per core
    """
    pending = [file for file in files if heard.get(file.clip.track_id) != file.audio]
    report = SoundReport(files=len(files), kept=len(files) - len(pending))
    scaler = await normalise.stored(database, VERSION)
    waiting: list[tuple[SoundFile, Extracted]] = []
    by_id = {file.clip.track_id: file for file in pending}
    with meter("audio", len(pending)) as progress:
        async for clip, outcome in _outcomes(_shuffled(pending), processes):
            progress.advance()
            file = by_id[clip.track_id]
            if isinstance(outcome, UnreadableAudio):
                report.rejected[file.key] = str(outcome)
                continue
            waiting.append((file, outcome))
            if len(waiting) >= (_FLUSH if scaler else FIT_CLIPS):
                scaler = await _flush(database, waiting, scaler, report)
        if waiting:
            scaler = await _flush(database, waiting, scaler, report)
    report.scaler_id = scaler.scaler_id if scaler else None
    await _silence(database, [file.clip.track_id for file in pending if file.key in report.rejected])
    return report


def _shuffled(files: Sequence[SoundFile]) -> list[ClipFile]:
    """Order by hash, so that the first files are a fair sample of all; the same at every run."""

    def position(file: SoundFile) -> bytes:
        return hashlib.blake2b(file.clip.track_id.to_bytes(8, "big"), digest_size=8).digest()

    return [file.clip for file in sorted(files, key=position)]


async def _outcomes(files: Sequence[ClipFile], processes: int | None) -> AsyncIterator[Outcome]:
    outcomes = extract_all(files, processes=processes)
    try:
        while True:
            step = asyncio.ensure_future(asyncio.to_thread(next, outcomes, None))
            try:
                outcome = await asyncio.shield(step)
            except asyncio.CancelledError:
                await step  # a generator cannot be closed while it runs
                raise
            if outcome is None:
                return
            yield outcome
    finally:
        outcomes.close()


async def _flush(
    database: Database,
    waiting: list[tuple[SoundFile, Extracted]],
    scaler: normalise.Standardisation | None,
    report: SoundReport,
) -> normalise.Standardisation:
    """Write what waits and empty it; fit and store the scaler when there is none yet."""
    raw = np.stack([extracted.vector for _, extracted in waiting])
    if scaler is None:
        scaler = normalise.fit(VERSION, raw)
        await normalise.store(database, scaler)
    scaled = scaler.apply(raw)
    sounds = [
        (
            file.clip.track_id,
            {"audio": file.audio, "peaks": extracted.peaks, "track_ms": extracted.length_ms},
            Features(
                _id=file.clip.track_id,
                version=VERSION,
                names=list(NAMES),
                raw=raw[row].tolist(),
                scaled=scaled[row].tolist(),
                scaler_id=scaler.scaler_id,
            ),
        )
        for row, (file, extracted) in enumerate(waiting)
    ]
    changed, _ = await load.write_sound(database, sounds)
    report.extracted += len(waiting)
    report.changed += changed
    waiting.clear()
    return scaler


async def _silence(database: Database, track_ids: list[int]) -> None:
    """Take the sound from tracks whose file became unreadable: no play button that cannot play."""
    if not track_ids:
        return
    await answered(
        database[TRACKS.name].update_many(
            {"_id": {"$in": track_ids}, "audio": {"$ne": None}}, {"$set": {"audio": None}}
        ),
        "writing tracks",
    )
    await answered(database[FEATURES.name].delete_many({"_id": {"$in": track_ids}}), "writing features")
