"""Read FMA's `tracks.csv`: three header rows, 52 columns, texts with line breaks and HTML."""

import csv
import gzip
import sys
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from etl.columns import ESSENTIAL, REQUIRED, Pair, all_pairs
from etl.genres import GenreTree
from etl.quality import Quality
from etl.raw_tables import RawTables
from etl.rows import LARGEST_ID, Described, RowReader
from schemas.errors import InvalidInput

_BATCH = 500
_DIGITS = 10  # of the largest id


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
        raise InvalidInput(f"{metadata} does not exist: `segue data get metadata` gets FMA's tables")
    for name in ("tracks.csv", "tracks.csv.gz"):
        if (metadata / name).is_file():
            return metadata / name
    raise InvalidInput(f"{metadata} holds neither tracks.csv nor tracks.csv.gz")


def read_tracks(
    path: Path, tree: GenreTree, quality: Quality | None = None
) -> Iterator[Described | Rejected]:
    """Yield what each row of `tracks.csv` says, or the reason against it.

    Cells that are empty are filled from the raw tables in the same folder, see ``etl.raw_tables``.

    Parameters
    ----------
    tree : the genres
    quality : counts the cells

    Raises
    ------
    InvalidInput
        A file cannot be read, has not FMA's three header rows, or lacks a column.
    """
    quality = Quality() if quality is None else quality
    # biographies exceed csv's default of 131,072 characters for one field
    csv.field_size_limit(sys.maxsize)
    opened = gzip.open if path.suffix == ".gz" else open
    try:
        with opened(path, "rt", encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
            rows: Iterator[list[str]] = csv.reader(file)
            pairs = _header(path, rows)
            yield from _Table(path, pairs, tree, quality).read(rows)
    except (OSError, EOFError, zlib.error, csv.Error) as error:
        raise InvalidInput(f"{path} cannot be read: {error}") from error


def _header(path: Path, rows: Iterator[list[str]]) -> list[Pair]:
    """Return group and field of each column; the first is the track id's."""
    groups, fields, index = (next(rows, []) for _ in range(3))
    if not index or index[0] != "track_id" or len(groups) != len(fields):
        raise InvalidInput(
            f"{path} has not the three header rows of FMA's tracks.csv (groups, fields, 'track_id')"
        )
    pairs = list(zip(groups, fields, strict=True))
    for group, field in REQUIRED:
        if (group, field) not in pairs:
            raise InvalidInput(f"column ({group}, {field}) is missing in {path}")
    return pairs


class _Table:
    """The rows after the header; remembers which ids it has met."""

    def __init__(self, path: Path, header: Sequence[Pair], tree: GenreTree, quality: Quality) -> None:
        self._width = len(header)
        self._names = ["track_id", *("_".join(pair) for pair in header[1:])]
        self._quality = quality
        self._essential = {header.index(pair): ".".join(pair) for pair in ESSENTIAL}
        self._seen: set[int] = set()
        pairs = all_pairs(header)
        self._more = len(pairs) - len(header)
        self._raw = RawTables(path.parent, pairs, quality)
        self._reader = RowReader(pairs, tree, quality)

    def read(self, rows: Iterator[list[str]]) -> Iterator[Described | Rejected]:
        first = 1
        while batch := list(islice(rows, _BATCH)):
            numbers = self._all_usable(batch)
            if numbers is None:
                yield from self._one_by_one(first, batch)
            else:
                yield from self._described(numbers, batch)
            first += len(batch)

    def _all_usable(self, batch: Sequence[list[str]]) -> list[int] | None:
        """Return the track ids of rows if none of them has to be looked at by itself: the common case."""
        keys = [row[0] if len(row) == self._width else "" for row in batch]
        together = "".join(keys)
        if not (together.isascii() and together.isdigit() and min(map(len, keys)) >= 1):
            return None
        if max(map(len, keys)) > _DIGITS or not _are_utf8(batch):
            return None
        numbers = list(map(int, keys))
        distinct = set(numbers)
        if min(numbers) < 1 or max(numbers) > LARGEST_ID or len(distinct) < len(numbers):
            return None
        if not self._seen.isdisjoint(distinct):
            return None
        self._seen |= distinct
        return numbers

    def _described(self, numbers: Sequence[int], rows: Sequence[list[str]]) -> Iterator[Described | Rejected]:
        columns = list(zip(*rows, strict=True))
        self._quality.count_columns(self._names, columns)
        if self._raw:
            columns = self._filled(numbers, rows)
        else:
            columns += [("",) * len(rows)] * self._more
        for number, found in zip(numbers, self._reader.describe(numbers, columns), strict=True):
            yield Rejected(str(number), found) if isinstance(found, str) else found

    def _filled(self, numbers: Sequence[int], rows: Sequence[list[str]]) -> list[tuple[str, ...]]:
        more = [""] * self._more
        for number, row in zip(numbers, rows, strict=True):
            row += more
            self._raw.fill(number, row)
        return list(zip(*rows, strict=True))

    def _one_by_one(self, first: int, batch: Sequence[list[str]]) -> Iterator[Described | Rejected]:
        refused = self._drop_bytes([row for row in batch if len(row) == self._width])
        found: list[int | Rejected] = []
        usable: list[list[str]] = []
        for place, row in enumerate(batch, start=first):
            if row:
                found.append(self._take(place, row, refused))
                if isinstance(found[-1], int):
                    usable.append(row)
        numbers = [each for each in found if isinstance(each, int)]
        described = self._described(numbers, usable) if usable else iter(())
        for each in found:
            yield each if isinstance(each, Rejected) else next(described)

    def _drop_bytes(self, rows: Sequence[list[str]]) -> dict[str, str]:
        """Empty the cells that are not UTF-8; return the reason against rows where one is essential."""
        refused: dict[str, str] = {}
        for row in (each for each in rows if not _are_utf8([each])):
            for position, cell in enumerate(row):
                if position and not _are_utf8([[cell]]):
                    if position in self._essential:
                        refused[row[0]] = f"not UTF-8: {self._essential[position]}"
                    self._quality.fault(self._names[position], "not UTF-8", f"track {row[0]}", ascii(cell))
                    row[position] = ""
        return refused

    def _take(self, place: int, row: list[str], refused: Mapping[str, str]) -> int | Rejected:
        """Return the track id of a row, or the reason against it."""
        key = row[0]
        if not (key.isascii() and key.isdigit() and len(key) <= _DIGITS and 1 <= int(key) <= LARGEST_ID):
            return Rejected(f"row-{place}", f"no track id: {key[:40]!a} is not a positive whole number")
        track_id = int(key)
        if len(row) != self._width:
            return Rejected(str(track_id), f"wrong number of columns: {len(row)} instead of {self._width}")
        if track_id in self._seen:
            return Rejected(str(track_id), "duplicate id: the first row counts")
        self._seen.add(track_id)
        return Rejected(str(track_id), refused[key]) if key in refused else track_id


def _are_utf8(rows: Sequence[Sequence[str]]) -> bool:
    """Return whether no byte had to be escaped when the rows were decoded."""
    try:
        "".join(map("".join, rows)).encode()
    except UnicodeEncodeError:
        return False
    return True
