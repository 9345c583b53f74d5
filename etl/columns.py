"""FMA's columns: what each holds, where it goes in ``track_details``, and which raw column stands in for it.

`tracks.csv` names a column by group and field, the raw tables by one name, mostly ``group_field``.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from etl import cells
from etl.cells import Reader
from etl.text import NAME_LIMIT, TEXT_LIMIT, plain_text

Pair = tuple[str, str]

ESSENTIAL: tuple[Pair, ...] = (
    ("track", "title"),
    ("track", "duration"),
    ("track", "genres"),
    ("artist", "id"),
)
"""A row whose cell of these cannot be used is refused; of any other column, only the cell is."""
REQUIRED: tuple[Pair, ...] = (
    *ESSENTIAL, ("track", "genre_top"), ("track", "license"), ("artist", "name"), ("album", "title"),
)  # fmt: skip
"""Columns without which `tracks.csv` is not read at all."""
RAW_ONLY: tuple[Pair, ...] = (
    ("track", "url"), ("track", "license_url"), ("track", "disc_number"), ("track", "explicit"),
    ("track", "instrumental"), ("track", "image_file"), ("album", "url"), ("artist", "url"),
)  # fmt: skip
"""What only `raw_tracks.csv` tells."""
_OTHER_NAMES: dict[Pair, str] = {
    ("track", "license"): "license_title",
    ("track", "license_url"): "license_url",
    ("track", "tags"): "tags",
    ("album", "tags"): "tags",
    ("artist", "tags"): "tags",
}
# of albums and artists raw_tracks.csv tells only this
_IN_RAW_TRACKS = frozenset(
    {("album", "id"), ("album", "title"), ("artist", "id"), ("artist", "name"), ("artist", "website")}
    | set(RAW_ONLY)
)
_NOT_RAW = frozenset({("track", "genre_top"), ("track", "genres_all")})


@dataclass(frozen=True, slots=True)
class Column:
    """One column of details: its name in `tracks.csv`, its key in the document, its reader."""

    group: str
    field: str
    key: str
    read: Reader

    @property
    def name(self) -> str:
        """The name in reports, ``group_field``."""
        return f"{self.group}_{self.field}"


def all_pairs(header: Sequence[Pair]) -> list[Pair]:
    """Return the columns of a file, then those of Segue that it lacks: a raw table may fill them."""
    known = [*REQUIRED, ("track", "genres_all"), *RAW_ONLY]
    known += [(each.group, each.field) for each in detail_columns(Counter())]
    return [*header, *(pair for pair in dict.fromkeys(known) if pair not in header)]


def raw_name(pair: Pair, table: str) -> str | None:
    """Return the column of `raw_tracks.csv`, `raw_albums.csv` or `raw_artists.csv` with the same content.

    Parameters
    ----------
    pair : group and field, as in `tracks.csv` and ``RAW_ONLY``
    table : ``"track"``, ``"album"`` or ``"artist"``; None is returned when it has no such column
    """
    group = pair[0]
    if pair in _NOT_RAW or group == "set":
        return None
    if group != table and not (table == "track" and pair in _IN_RAW_TRACKS):
        return None
    return _OTHER_NAMES.get(pair, f"{group}_{pair[1]}")


def detail_columns(found: Counter[str]) -> tuple[Column, ...]:
    """Return the columns of ``track_details``; ``found`` counts what is cleaned from their texts."""

    def texts(limit: int) -> Callable[[str], str | None]:
        return lambda cell: plain_text(cell, limit, found) or None

    name, text = texts(NAME_LIMIT), texts(TEXT_LIMIT)
    return (*_of_track(name, text), *_of_album(name, text), *_of_artist(name, text))


def _of_track(name: Reader, text: Reader) -> tuple[Column, ...]:
    return (
        Column("set", "split", "split", cells.one_of("training", "validation", "test")),
        Column("set", "subset", "subset", cells.one_of("small", "medium", "large", "full")),
        Column("track", "bit_rate", "bit_rate", cells.positive),
        Column("track", "comments", "comments", cells.whole),
        Column("track", "composer", "composer", name),
        Column("track", "date_created", "created", cells.instant),
        Column("track", "date_recorded", "recorded", cells.date),
        Column("track", "favorites", "favorites", cells.whole),
        Column("track", "information", "information", text),
        Column("track", "interest", "interest", cells.whole),
        Column("track", "language_code", "language_code", cells.language),
        Column("track", "listens", "listens", cells.whole),
        Column("track", "lyricist", "lyricist", name),
        Column("track", "number", "number", cells.whole),
        Column("track", "publisher", "publisher", name),
        Column("track", "tags", "tags", cells.tags),
        Column("track", "disc_number", "disc", cells.positive),
        Column("track", "explicit", "explicit", name),
        Column("track", "instrumental", "instrumental", cells.flag),
        Column("track", "image_file", "image_url", cells.web_address),
    )


def _of_album(name: Reader, text: Reader) -> tuple[Column, ...]:
    return (
        Column("album", "id", "id", cells.positive),
        Column("album", "type", "type", name),
        Column("album", "date_created", "created", cells.instant),
        Column("album", "date_released", "released", cells.date),
        Column("album", "engineer", "engineer", name),
        Column("album", "producer", "producer", name),
        Column("album", "comments", "comments", cells.whole),
        Column("album", "favorites", "favorites", cells.whole),
        Column("album", "listens", "listens", cells.whole),
        Column("album", "tracks", "tracks", cells.whole),
        Column("album", "information", "information", text),
        Column("album", "tags", "tags", cells.tags),
        Column("album", "url", "url", cells.web_address),
    )


def _of_artist(name: Reader, text: Reader) -> tuple[Column, ...]:
    return (
        Column("artist", "active_year_begin", "active_from", cells.year),
        Column("artist", "active_year_end", "active_until", cells.year),
        Column("artist", "associated_labels", "labels", text),
        Column("artist", "bio", "bio", text),
        Column("artist", "comments", "comments", cells.whole),
        Column("artist", "date_created", "created", cells.instant),
        Column("artist", "favorites", "favorites", cells.whole),
        Column("artist", "latitude", "latitude", cells.within(-90, 90)),
        Column("artist", "longitude", "longitude", cells.within(-180, 180)),
        Column("artist", "location", "location", name),
        Column("artist", "members", "members", text),
        Column("artist", "related_projects", "projects", text),
        Column("artist", "tags", "tags", cells.tags),
        Column("artist", "url", "url", cells.web_address),
        Column("artist", "website", "website", cells.web_address),
        Column("artist", "wikipedia_page", "wikipedia", cells.web_address),
    )
