"""FMA's raw tables, as its API gave them: what `tracks.csv` lacks is filled from them.

`tracks.csv` wins: only an empty cell is filled, first from `raw_tracks.csv`, then from `raw_albums.csv` by
the number of the album and from `raw_artists.csv` by that of the artist.
"""

import csv
import sys
from collections.abc import Sequence
from pathlib import Path

from etl.columns import Pair, raw_name
from etl.quality import Quality
from schemas.errors import InvalidInput

_SEPARATOR = "\x1f"
TABLES = {"track": "raw_tracks.csv", "album": "raw_albums.csv", "artist": "raw_artists.csv"}


class RawTable:
    """The columns in use of one table, packed: one byte string a row, for `raw_tracks.csv` has 110,000."""

    def __init__(self, rows: dict[int, bytes]) -> None:
        self._rows = rows
        self._last: tuple[int, list[str]] = (0, [])

    def __len__(self) -> int:
        return len(self._rows)

    def get(self, number: int) -> list[str] | None:
        """Return the cells of a row in the order in which they were asked for, or None."""
        if self._last[0] != number:  # the tracks of an album follow each other
            packed = self._rows.get(number)
            if packed is None:
                return None
            self._last = (number, packed.decode().split(_SEPARATOR))
        return self._last[1]


class RawTables:
    """Fills the empty cells of rows of `tracks.csv`.

    Parameters
    ----------
    folder : with any of the raw tables
    pairs : the columns of a row to be filled: those of `tracks.csv`, then ``RAW_ONLY``
    quality : counts what was filled
    """

    def __init__(self, folder: Path, pairs: Sequence[Pair], quality: Quality) -> None:
        self._names = ["_".join(pair) for pair in pairs]
        self._filled = quality.filled
        self._plans: list[tuple[RawTable, int, list[tuple[int, int]]]] = []
        self.rows: dict[str, int] = {}
        for group, file in TABLES.items():
            if (folder / file).is_file():
                self._open(folder / file, group, pairs)

    def _open(self, path: Path, group: str, pairs: Sequence[Pair]) -> None:
        columns = {position: raw_name(pair, group) for position, pair in enumerate(pairs)}
        wanted = {position: column for position, column in columns.items() if column is not None}
        table = read_raw_table(path, f"{group}_id", list(wanted.values()))
        self.rows[path.name] = len(table)
        key = -1 if group == "track" else pairs.index((group, "id"))
        self._plans.append((table, key, list(zip(wanted, range(len(wanted)), strict=True))))

    def __bool__(self) -> bool:
        return bool(self._plans)

    def fill(self, track_id: int, cells: list[str]) -> None:
        """Fill the empty ones of ``cells``, which are in the order of ``pairs``."""
        for table, key, plan in self._plans:
            number = track_id if key < 0 else _number(cells[key])
            found = table.get(number) if number else None
            if found is None:
                continue
            for position, source in plan:
                if not cells[position] and found[source]:
                    cells[position] = found[source]
                    self._filled[self._names[position]] += 1


def _number(cell: str) -> int:
    return int(cell) if cell.isascii() and cell.isdigit() and len(cell) <= 15 else 0


def read_raw_table(path: Path, key: str, columns: Sequence[str]) -> RawTable:
    """Return a table. Rows without a number in column ``key`` are left out; of two, the first stays.

    Raises
    ------
    InvalidInput
        The file cannot be read, or has no column ``key``.
    """
    csv.field_size_limit(sys.maxsize)
    rows: dict[int, bytes] = {}
    try:
        with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
            table = csv.reader(file)
            header = next(table, [])
            if key not in header:
                raise InvalidInput(f"column {key!r} is missing in {path}")
            at, width = header.index(key), len(header)
            wanted = [header.index(column) if column in header else -1 for column in columns]
            for row in table:
                number = _number(row[at]) if len(row) == width else 0
                if number and number not in rows:
                    rows[number] = _packed([row[each] if each >= 0 else "" for each in wanted])
    except (OSError, csv.Error) as error:
        raise InvalidInput(f"{path} cannot be read: {error}") from error
    return RawTable(rows)


def _packed(cells: Sequence[str]) -> bytes:
    packed = _SEPARATOR.join(cells)
    if packed.count(_SEPARATOR) >= len(cells):  # a cell holds the separator itself
        packed = _SEPARATOR.join(cell.replace(_SEPARATOR, " ") for cell in cells)
    return packed.encode()
