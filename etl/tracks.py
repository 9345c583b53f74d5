"""Read FMA's `tracks.csv`: three header rows, 52 columns, texts with line breaks and HTML."""

import csv
import gzip
import sys
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from etl.genres import genre_names
from etl.ids import foreign_id
from etl.licences import licence_url
from etl.text import plain_text
from schemas.documents import Track
from schemas.errors import InvalidInput

SOURCE = "fma"
_LARGEST_ID = 2**32 - 1
_COLUMNS = (
    ("track", "title"), ("track", "duration"), ("track", "genre_top"), ("track", "genres"),
    ("track", "license"), ("artist", "id"), ("artist", "name"), ("album", "title"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Rejected:
    """A row that cannot become a track; ``key`` is its id as far as it has one."""

    key: str
    reason: str


def find_tracks_file(metadata: Path) -> Path:
    """Return `tracks.csv` or `tracks.csv.gz` in a folder, or the file itself.

    Raises
    ------
    InvalidInput
        There is none.
    """
    if metadata.is_file():
        return metadata
    if not metadata.is_dir():
        raise InvalidInput(f"{metadata} does not exist")
    for name in ("tracks.csv", "tracks.csv.gz"):
        if (metadata / name).is_file():
            return metadata / name
    raise InvalidInput(f"{metadata} holds neither tracks.csv nor tracks.csv.gz")


def read_tracks(path: Path, genres: Mapping[int, str]) -> Iterator[Track | Rejected]:
    """Yield the track, or the reason against it, of each row of `tracks.csv`.

    Raises
    ------
    InvalidInput
        The file cannot be read, has not FMA's three header rows, or lacks a column.
    """
    # biographies exceed csv's default of 131,072 characters for one field
    csv.field_size_limit(sys.maxsize)
    opened = gzip.open if path.suffix == ".gz" else open
    rows: Iterator[list[str]]
    try:
        with opened(path, "rt", encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
            rows = csv.reader(file)
            columns, width = _header(path, rows)
            seen: set[int] = set()
            for number, row in enumerate(rows, start=1):
                if row:
                    yield _track(number, row, width, columns, genres, seen)
    except (OSError, EOFError, zlib.error, csv.Error) as error:
        raise InvalidInput(f"{path} cannot be read: {error}") from error


def _header(path: Path, rows: Iterator[list[str]]) -> tuple[dict[tuple[str, str], int], int]:
    """Return the position of each column that is used, and the number of columns."""
    groups, fields, index = (next(rows, []) for _ in range(3))
    if not index or index[0] != "track_id" or len(groups) != len(fields):
        raise InvalidInput(
            f"{path} has not the three header rows of FMA's tracks.csv (groups, fields, 'track_id')"
        )
    found = {pair: position for position, pair in enumerate(zip(groups, fields, strict=True))}
    for group, field in _COLUMNS:
        if (group, field) not in found:
            raise InvalidInput(f"column ({group}, {field}) is missing in {path}")
    return {pair: found[pair] for pair in _COLUMNS}, len(fields)


def _track(
    number: int,
    row: list[str],
    width: int,
    columns: Mapping[tuple[str, str], int],
    genres: Mapping[int, str],
    seen: set[int],
) -> Track | Rejected:
    if not (row[0].isascii() and row[0].isdigit() and 1 <= int(row[0]) <= _LARGEST_ID):
        return Rejected(f"row-{number}", f"no track id: {row[0][:40]!r} is not a positive whole number")
    track_id = int(row[0])
    if len(row) != width:
        return Rejected(str(track_id), f"wrong number of columns: {len(row)} instead of {width}")
    if track_id in seen:
        return Rejected(str(track_id), "duplicate id: the first row counts")
    seen.add(track_id)
    cells = {pair: row[position] for pair, position in columns.items()}
    try:
        for pair, cell in cells.items():
            if not cell.isprintable() and any("\udc80" <= each <= "\udcff" for each in cell):
                raise ValueError(f"not UTF-8: {'.'.join(pair)}")
        return _describe(track_id, cells, genres)
    except ValueError as error:
        return Rejected(str(track_id), str(error))


def _describe(track_id: int, cells: Mapping[tuple[str, str], str], genres: Mapping[int, str]) -> Track:
    """Return the track of one row. Raises ``ValueError`` with the reason against it."""
    title = plain_text(cells["track", "title"])
    if not title:
        raise ValueError("no title")
    artist = plain_text(cells["artist", "name"])
    licence = plain_text(cells["track", "license"])
    return Track(
        _id=track_id,
        title=title,
        artist=artist or "Unknown artist",
        artist_id=_artist_id(track_id, cells["artist", "id"], artist),
        album=plain_text(cells["album", "title"]) or None,
        genres=genre_names(plain_text(cells["track", "genre_top"]), cells["track", "genres"], genres),
        track_ms=_duration_ms(cells["track", "duration"]),
        licence=licence or None,
        licence_url=licence_url(licence),
        source=SOURCE,
        source_key=str(track_id),
        source_url=None,
        audio=None,
    )


def _artist_id(track_id: int, number: str, name: str) -> int:
    if number:
        # pandas writes a column of numbers with gaps as 12.0
        whole = number.removesuffix(".0")
        if not (whole.isascii() and whole.isdigit() and 1 <= int(whole) <= _LARGEST_ID):
            raise ValueError(f"artist id: {number[:40]!r} is not a positive whole number")
        return int(whole)
    if name:
        return foreign_id("fma-artist", name.casefold())
    # unknown artists are not one artist: "at most two of one artist" must not count them together
    return foreign_id("fma-artist-of-track", str(track_id))


def _duration_ms(seconds: str) -> int | None:
    if not seconds:
        return None
    try:
        value = float(seconds)
    except ValueError:
        raise ValueError(f"duration: {seconds[:40]!r} is not a number") from None
    if not 0 <= value <= 86_400:
        raise ValueError(f"duration: {seconds[:40]} s is not between 0 and 24 hours")
    return round(value * 1000) or None
