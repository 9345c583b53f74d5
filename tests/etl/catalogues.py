"""Documents of a catalogue that tests write themselves, and a reader of the report's page."""

from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any

import numpy as np

from connections.documents import Database, ensure_indexes
from connections.feature_store import Standardisation
from schemas.documents import CATALOGUE, FEATURES, SCALERS, TRACKS

VERSION = "test-v1"
NAMES = [
    *(f"mfcc_{n:02d}_mean" for n in range(4)),
    "spectral_centroid_mean",
    "spectral_flatness_std",
    "tempo",
]


def track(track_id: int, **fields: Any) -> dict[str, Any]:
    """Return a track's document: with audio, one genre, half a minute, CC0."""
    return {
        "_id": track_id, "title": f"Track {track_id}", "artist": "Somebody", "artist_id": 1, "album": None,
        "genres": ["Rock"], "track_ms": 30_000, "licence": "CC0", "licence_url": "https://example.org/cc0",
        "source": "test", "source_key": str(track_id), "source_url": None,
        "audio": {"path": f"{track_id}.mp3", "mime": "audio/mpeg", "bytes": 1}, **fields,
    }  # fmt: skip


def vectors(count: int, seed: int = 1) -> np.ndarray:
    """Return raw vectors that vary more along some directions than along others: float64 [count, 7]."""
    draw = np.random.default_rng(seed)
    return draw.normal(size=(count, len(NAMES))) * np.array([9, 4, 1, 1, 1, 1, 1]) + 3


async def write_tracks(database: Database, tracks: list[dict[str, Any]], **state: Any) -> None:
    """Write tracks and the catalogue's document."""
    await ensure_indexes(database)
    await database[TRACKS.name].insert_many(tracks)
    found = {"_id": "catalogue", "version": "0123456789abcdef", "tracks": len(tracks), "source": "test"}
    await database[CATALOGUE.name].insert_one({**found, "updated_ms": 1_700_000_000_000, **state})


async def write_features(
    database: Database, raw: dict[int, np.ndarray], *, scaled: bool = True, version: str = VERSION
) -> Standardisation:
    """Write feature vectors by track id and, when ``scaled``, the scaler fitted on them."""
    matrix = np.stack(list(raw.values()))
    scaler = Standardisation.named(version, 3, len(raw), matrix.mean(axis=0), matrix.std(axis=0))
    used = {"scaler_id": scaler.scaler_id} if scaled else {}
    await database[FEATURES.name].insert_many(
        {"_id": track_id, "version": version, "names": NAMES, "raw": vector.tolist(), **used}
        | ({"scaled": scaler.apply(vector).tolist()} if scaled else {})
        for track_id, vector in raw.items()
    )
    if scaled:
        about = {"version": version, "revision": 3, "count": len(raw), "created_ms": 1_700_000_000_000}
        numbers = {"mean": scaler.mean.tolist(), "scale": scaler.scale.tolist()}
        await database[SCALERS.name].insert_one({"_id": scaler.scaler_id, **about, **numbers})
    return scaler


@dataclass
class Section:
    """One section of the page: its words, and the rows of all its tables."""

    words: str = ""
    rows: list[list[str]] = field(default_factory=list)

    def numbers(self) -> dict[str, str]:
        """Return the second cell of each row by the first."""
        return {row[0]: row[1] for row in self.rows if len(row) > 1}


class Page(HTMLParser):
    """What a reader of the page finds; sections by identifier, "" is what stands before them."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.sections: dict[str, Section] = {"": Section()}
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.ids: list[str] = []
        self._section = self.sections[""]
        self._cell = False
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        self.ids += [value or "" for name, value in attrs if name == "id"]
        if tag == "section":
            self._section = self.sections[dict(attrs)["id"] or ""] = Section()
        elif tag == "tr":
            self._section.rows.append([])
        elif tag in ("td", "th"):
            self._cell = True
            self._section.rows[-1].append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "th"):
            self._cell = False

    def handle_data(self, data: str) -> None:
        self._section.words += data
        if self._cell:
            self._section.rows[-1][-1] += data.strip()

    def links(self) -> set[str]:
        """Return where the page leads to outside itself."""
        return {value or "" for name, value in self.attributes if name in ("href", "src")} - {
            value or "" for name, value in self.attributes if (value or "").startswith("#")
        }
