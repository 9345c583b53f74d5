"""Audio files and FMA folders that tests write themselves."""

import csv
import gzip
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
import soundfile

_ALBUM = (
    "comments", "date_created", "date_released", "engineer", "favorites", "id", "information", "listens",
    "producer", "tags", "title", "tracks", "type",
)  # fmt: skip
_ARTIST = (
    "active_year_begin", "active_year_end", "associated_labels", "bio", "comments", "date_created",
    "favorites", "id", "latitude", "location", "longitude", "members", "name", "related_projects", "tags",
    "website", "wikipedia_page",
)  # fmt: skip
_TRACK = (
    "bit_rate", "comments", "composer", "date_created", "date_recorded", "duration", "favorites", "genre_top",
    "genres", "genres_all", "information", "interest", "language_code", "license", "listens", "lyricist",
    "number", "publisher", "tags", "title",
)  # fmt: skip
COLUMNS = (
    *(("album", name) for name in _ALBUM),
    *(("artist", name) for name in _ARTIST),
    ("set", "split"),
    ("set", "subset"),
    *(("track", name) for name in _TRACK),
)
Cells = Mapping[tuple[str, str], str]
WriteTone = Callable[..., Path]
WriteMetadata = Callable[..., Path]


@pytest.fixture
def write_tone() -> WriteTone:
    """Return a function that writes a chord as an audio file; the suffix decides the format."""

    def write(
        path: Path, *, length_s: float = 6.0, hz: float = 220.0, rate_hz: int = 44_100, channels: int = 1
    ) -> Path:
        t = np.arange(int(length_s * rate_hz)) / rate_hz
        sound = 0.3 * np.sin(2 * np.pi * hz * t) + 0.1 * np.sin(2 * np.pi * 3.01 * hz * t) * np.sin(5 * t)
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, np.repeat(sound[:, None], channels, axis=1), rate_hz)
        return path

    return write


@pytest.fixture
def write_metadata(tmp_path: Path) -> WriteMetadata:
    """Return a function that writes FMA's `tracks.csv` (three header rows) and `genres.csv`."""

    def write(
        rows: Sequence[tuple[str, Cells]],
        *,
        name: str = "metadata",
        without: tuple[str, str] | None = None,
        compressed: bool = False,
    ) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        columns = [column for column in COLUMNS if column != without]
        path = folder / ("tracks.csv.gz" if compressed else "tracks.csv")
        with (gzip.open if compressed else open)(path, "wt", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["", *(group for group, _ in columns)])
            writer.writerow(["", *(field for _, field in columns)])
            writer.writerow(["track_id", *([""] * len(columns))])
            for track_id, cells in rows:
                writer.writerow([track_id, *(cells.get(column, "") for column in columns)])
        (folder / "genres.csv").write_text(
            "genre_id,#tracks,parent,title,top_level\n12,1,0,Rock,12\n21,2,0,Hip-Hop,21\n45,1,12,Loud-Rock,12\n"
        )
        return folder

    return write


@pytest.fixture
def row() -> Callable[..., tuple[str, dict[tuple[str, str], str]]]:
    """Return a function that makes one plausible row of `tracks.csv`."""

    def make(track_id: str, **track: str) -> tuple[str, dict[tuple[str, str], str]]:
        cells = {("track", "title"): "Food", ("track", "duration"): "168", ("track", "genres"): "[21]"}
        cells[("artist", "name")], cells[("artist", "id")] = "AWOL", "1"
        cells.update({("track", name): value for name, value in track.items()})
        return track_id, cells

    return make
