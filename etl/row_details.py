"""Columns of `tracks.csv` to documents of ``track_details``."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

from etl.columns import Column, Pair, detail_columns
from etl.quality import Quality
from etl.remembered import Fault, Remembered
from etl.row_genres import Genres
from schemas.documents import TrackDetails

Cells = Sequence[str]
_GROUPS = ("album", "artist")
_Fault = tuple[str, str, str]  # column, kind, cell


class DetailReader:
    """Reads everything that ``tracks`` does not hold.

    Parameters
    ----------
    at : position of each column
    quality : counts faulty cells and cleaned texts
    """

    def __init__(self, at: Mapping[Pair, int], quality: Quality) -> None:
        self._quality = quality
        columns = detail_columns(quality.texts)
        self._own = [
            (at[each.group, each.field], each, Remembered[str, Any](each.read))
            for each in columns
            if each.group not in _GROUPS
        ]
        self._groups = [
            (name, _Group([each for each in columns if each.group == name], at)) for name in _GROUPS
        ]

    def read(
        self,
        numbers: Sequence[int],
        columns: Sequence[Cells],
        genres: Sequence[Genres],
        codes: Sequence[str | None],
    ) -> Iterator[TrackDetails]:
        """Yield the documents of the rows with these ids.

        Parameters
        ----------
        columns : the cells of each column, as many as there are ids
        genres, codes : of the same rows; code of the licence
        """
        keys, values = ["_id"], [cast(Sequence[Any], numbers)]
        for position, column, reader in self._own:
            if any(columns[position]):
                keys.append(column.key)
                values.append(self._values(numbers, column, columns[position], reader))
        keys += ("genre_ids", "licence_code")
        values += ([each.numbers or None for each in genres], codes)
        self._tell(numbers, [each.faults for each in genres])
        for name, group in self._groups:
            found = group.read(columns)
            keys.append(name)
            values.append([each[0] for each in found])
            if group.faulty:
                self._tell(numbers, [each[1] for each in found])
        for row in zip(*values, strict=True):
            yield cast(
                TrackDetails,
                {key: value for key, value in zip(keys, row, strict=True) if value is not None},
            )

    def _values(
        self, numbers: Sequence[int], column: Column, cells: Cells, reader: Remembered[str, Any]
    ) -> list[Any]:
        values = list(map(reader.__getitem__, cells))
        if reader.faulty:
            for place, value in enumerate(values):
                if type(value) is Fault:
                    self._quality.fault(column.name, value.kind, f"track {numbers[place]}", cells[place])
                    values[place] = None
        return values

    def _tell(self, numbers: Sequence[int], faults: Sequence[Sequence[_Fault]]) -> None:
        for number, those in zip(numbers, faults, strict=True):
            for column, kind, cell in those:
                self._quality.fault(column, kind, f"track {number}", cell)


class _Group:
    """The columns of the album or of the artist, remembered together.

    Attributes
    ----------
    faulty : whether a cell was ever faulty
    """

    def __init__(self, columns: Sequence[Column], at: Mapping[Pair, int]) -> None:
        self._columns = columns
        self._positions = [at[each.group, each.field] for each in columns]
        self._known = Remembered[tuple[str, ...], Any](self._read)
        self.faulty = False

    def read(self, columns: Sequence[Cells]) -> list[tuple[dict[str, Any] | None, list[_Fault]]]:
        """Return the part of the document, None when nothing is told, and the faults of each row."""
        rows = zip(*(columns[position] for position in self._positions), strict=True)
        return list(map(self._known.__getitem__, rows))

    def _read(self, cells: Cells) -> tuple[dict[str, Any] | None, list[_Fault]]:
        values: dict[str, Any] = {}
        faults: list[_Fault] = []
        for column, cell in zip(self._columns, cells, strict=True):
            if cell:
                try:
                    value = column.read(cell)
                except ValueError as error:
                    faults.append((column.name, str(error), cell))
                    self.faulty = True
                else:
                    if value is not None:
                        values[column.key] = value
        return values or None, faults
