"""Rows of `tracks.csv` to the documents of their tracks: ``tracks`` and ``track_details``.

A batch is read column by column: each column has one reader, which remembers what it has read.
"""

from collections.abc import Sequence
from itertools import compress
from typing import Any, NamedTuple

from etl import cells
from etl.columns import Pair
from etl.genres import GenreTree
from etl.ids import foreign_id
from etl.licences import deed, read_licence
from etl.quality import Quality
from etl.remembered import Fault, Remembered
from etl.row_details import Cells, DetailReader
from etl.row_genres import FIELDS, Genres, genre_reader
from etl.text import NAME_LIMIT, plain_text
from schemas.documents import Track, TrackDetails

SOURCE = "fma"
LARGEST_ID = 2**32 - 1


class Described(NamedTuple):
    """What one row says: the document of ``tracks`` and that of ``track_details``."""

    track: Track
    details: TrackDetails


class _Essential(NamedTuple):
    titles: list[str]
    genres: list[Any]
    durations: list[Any]
    artists: list[Any]


class RowReader:
    """Describes rows whose cells stand in the order of ``pairs``.

    Parameters
    ----------
    pairs : group and field of each cell, all of ``etl.columns.all_pairs``
    tree : the genres
    quality : counts faulty cells, licences and cleaned texts
    """

    def __init__(self, pairs: Sequence[Pair], tree: GenreTree, quality: Quality) -> None:
        self._at = {pair: position for position, pair in enumerate(pairs)}
        self._quality = quality

        def clean(cell: str) -> str:
            return plain_text(cell, NAME_LIMIT, quality.texts)

        self._clean = clean
        self._name = Remembered[str, str | None](lambda cell: clean(cell) or None)
        self._licence = Remembered[str, Any](lambda cell: _licence(clean(cell)))
        self._duration = Remembered[str, Any](cells.duration_ms)
        self._artist = Remembered[str, Any](_artist_number)
        self._genres = genre_reader(tree)
        self._details = DetailReader(self._at, quality)

    def describe(self, numbers: Sequence[int], columns: Sequence[Cells]) -> Sequence[Described | str]:
        """Return what each row says, or the reason against it.

        Parameters
        ----------
        numbers : track ids, at least one
        columns : for each pair the cells of these rows
        """
        essential = self._essential(columns)
        reasons = self._reasons(essential)
        if not reasons:
            return list(self._described(numbers, columns, essential))
        usable = [place not in reasons for place in range(len(numbers))]
        if not any(usable):
            return list(reasons.values())
        rest = [tuple(compress(column, usable)) for column in columns]
        found = iter(self.describe(list(compress(numbers, usable)), rest))
        return [reasons[place] if place in reasons else next(found) for place in range(len(numbers))]

    def _column(self, columns: Sequence[Cells], group: str, field: str) -> Cells:
        return columns[self._at[group, field]]

    def _essential(self, columns: Sequence[Cells]) -> _Essential:
        genres = zip(*(self._column(columns, "track", field) for field in FIELDS), strict=True)
        return _Essential(
            titles=list(map(self._clean, self._column(columns, "track", "title"))),
            genres=list(map(self._genres.__getitem__, genres)),
            durations=list(map(self._duration.__getitem__, self._column(columns, "track", "duration"))),
            artists=list(map(self._artist.__getitem__, self._column(columns, "artist", "id"))),
        )

    def _reasons(self, essential: _Essential) -> dict[int, str]:
        """Return the reasons against rows whose essential cells cannot all be used, by place."""
        reasons: dict[int, str] = {}
        for name, values, faulty in (
            ("genres", essential.genres, self._genres.faulty),
            ("artist id", essential.artists, self._artist.faulty),
            ("duration", essential.durations, self._duration.faulty),
        ):
            if faulty:
                reasons |= {
                    place: f"{name}: {each.kind}" for place, each in enumerate(values) if type(each) is Fault
                }
        if "" in essential.titles:
            reasons |= {place: "no title" for place, title in enumerate(essential.titles) if not title}
        return reasons

    def _described(
        self, numbers: Sequence[int], columns: Sequence[Cells], essential: _Essential
    ) -> "map[Described]":
        names = list(map(self._name.__getitem__, self._column(columns, "artist", "name")))
        licences = list(map(self._licence.__getitem__, self._column(columns, "track", "license")))
        self._quality.licences.update(each[0] for each in licences if each)
        tracks = map(
            _track,
            numbers,
            essential.titles,
            names,
            map(_artist_id, numbers, essential.artists, names),
            map(self._name.__getitem__, self._column(columns, "album", "title")),
            essential.genres,
            essential.durations,
            licences,
            self._addresses(numbers, columns, "license_url"),
            self._addresses(numbers, columns, "url"),
        )
        codes = [each[1] if each else None for each in licences]
        return map(Described, tracks, self._details.read(numbers, columns, essential.genres, codes))

    def _addresses(self, numbers: Sequence[int], columns: Sequence[Cells], field: str) -> list[str | None]:
        addresses: list[str | None] = [None] * len(numbers)
        for place, cell in enumerate(self._column(columns, "track", field)):
            if cell:
                try:
                    addresses[place] = cells.web_address(cell)
                except ValueError as error:
                    self._quality.fault(f"track_{field}", str(error), f"track {numbers[place]}", cell)
        return addresses


def _track(
    number: int,
    title: str,
    artist: str | None,
    artist_id: int,
    album: str | None,
    genres: Genres,
    track_ms: int | None,
    licence: tuple[str, str | None, str | None] | None,
    licence_address: str | None,
    address: str | None,
) -> Track:
    name, _, url = licence or (None, None, None)
    return Track(
        _id=number,
        title=title,
        artist=artist or "Unknown artist",
        artist_id=artist_id,
        album=album,
        genres=genres.names,
        track_ms=track_ms,
        licence=name,
        licence_url=url or (deed(licence_address) if licence_address else None),
        source=SOURCE,
        source_key=str(number),
        source_url=address,
        audio=None,
    )


def _licence(name: str) -> tuple[str, str | None, str | None] | None:
    """Return name, code and deed of a licence."""
    found = read_licence(name)
    return (name, found.code, found.url) if name else None


def _artist_number(cell: str) -> int:
    # pandas writes a column of numbers with gaps as 12.0
    whole = cell.strip().removesuffix(".0")
    if not (whole.isascii() and whole.isdigit() and len(whole) <= 10 and 1 <= int(whole) <= LARGEST_ID):
        raise ValueError(f"{cell[:40]!r} is not a positive whole number")
    return int(whole)


def _artist_id(number: int, artist_number: int | None, name: str | None) -> int:
    if artist_number:
        return artist_number
    if name:
        return foreign_id("fma-artist", name.casefold())
    # unknown artists are not one artist: "at most two of one artist" must not count them together
    return foreign_id("fma-artist-of-track", str(number))
