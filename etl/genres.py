"""FMA's genres: the tree of `genres.csv`, and the genres of a track checked against it."""

import csv
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pymongo import ReplaceOne

from connections.documents import Database, answered
from etl.cells import genre_numbers, whole
from etl.text import NAME_LIMIT, plain_text
from schemas.documents import GENRES, Genre
from schemas.errors import InvalidInput

_OFFICIAL = {
    "number": "genre_id",
    "title": "title",
    "parent": "parent",
    "top": "top_level",
    "tracks": "#tracks",
}
_RAW = {"number": "genre_id", "title": "genre_title", "parent": "genre_parent_id"}


@dataclass(frozen=True)
class GenreTree:
    """The genres by their number.

    Attributes
    ----------
    genres : each with its parent and the path from its root; the parents form no cycle
    notes : what was wrong in the table, counted
    """

    genres: Mapping[int, Genre]
    notes: Mapping[str, int] = field(default_factory=dict)

    @property
    def titles(self) -> dict[int, str]:
        """Title by number."""
        return {number: genre["title"] for number, genre in self.genres.items()}

    def with_parents(self, numbers: Iterable[int]) -> set[int]:
        """Return these genres and all above them; unknown numbers are left out."""
        found: set[int] = set()
        for number in numbers:
            each: int | None = number
            while each is not None and each in self.genres and each not in found:
                found.add(each)
                each = self.genres[each]["parent"]
        return found

    def report(self) -> dict[str, Any]:
        """Return counts of the tree, and the notes."""
        depths = [len(genre["path"]) for genre in self.genres.values()]
        return {
            "genres": len(depths),
            "roots": depths.count(1),
            "depth": max(depths, default=0),
            "notes": dict(self.notes),
        }


def find_genres_file(metadata: Path) -> Path:
    """Return `genres.csv`, or `raw_genres.csv` when that is all there is.

    Raises
    ------
    InvalidInput
        There is neither.
    """
    for name in ("genres.csv", "raw_genres.csv"):
        if (metadata / name).is_file():
            return metadata / name
    raise InvalidInput(
        f"{metadata / 'genres.csv'} is missing: it lies beside tracks.csv in FMA's metadata archive"
    )


def read_genres(path: Path) -> GenreTree:
    """Return the tree of `genres.csv` or `raw_genres.csv`.

    A row without number or title, and a number that stands twice, is left out. A genre whose parent is
    missing, or whose parents run in a circle, becomes a root. ``top_level`` is where the parents lead,
    whatever the table says. All of that is noted.

    Raises
    ------
    InvalidInput
        The file cannot be read, lacks a column, or holds no genre.
    """
    notes: Counter[str] = Counter()
    rows: dict[int, dict[str, Any]] = {}
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            table = csv.DictReader(file)
            columns = _columns(path, table.fieldnames or ())
            for line in table:
                _keep({name: line.get(column) or "" for name, column in columns.items()}, rows, notes)
    except (OSError, ValueError, csv.Error) as error:
        raise InvalidInput(f"{path} cannot be read: {error}") from error
    if not rows:
        raise InvalidInput(f"{path} holds no genre")
    _cut_circles(rows, notes)
    return GenreTree({number: _genre(number, rows, notes) for number in rows}, dict(notes))


def _columns(path: Path, found: Iterable[str]) -> dict[str, str]:
    columns = _RAW if "genre_title" in found else _OFFICIAL
    for name in ("number", "title", "parent"):
        if columns[name] not in found:
            raise InvalidInput(f"column {columns[name]!r} is missing in {path}")
    return {name: column for name, column in columns.items() if column in found}


def _keep(cells: Mapping[str, str], rows: dict[int, dict[str, Any]], notes: Counter[str]) -> None:
    number = _number(cells["number"], notes)
    title = plain_text(cells["title"], NAME_LIMIT)
    if not number or not title:
        notes["row without number or title"] += 1
    elif number in rows:
        notes["number stands twice"] += 1
    else:
        rows[number] = {
            "title": title,
            "parent": _number(cells["parent"], notes) or None,
            "top": _number(cells.get("top", ""), notes) or None,
            "tracks": _number(cells.get("tracks", ""), notes) or 0,
        }


def _number(cell: str, notes: Counter[str]) -> int | None:
    try:
        return whole(cell) if cell else None
    except ValueError as error:
        notes[str(error)] += 1
        return None


def _cut_circles(rows: Mapping[int, dict[str, Any]], notes: Counter[str]) -> None:
    """Make a root of each genre whose parent is missing, and of the first one met in each circle."""
    safe: set[int] = set()
    for number in rows:
        path: list[int] = []
        each: int | None = number
        while each is not None and each not in safe:
            path.append(each)
            parent = rows[each]["parent"]
            if parent is not None and parent not in rows:
                notes["parent is missing"] += 1
                rows[each]["parent"] = parent = None
            elif parent in path:
                notes["parents run in a circle"] += 1
                rows[each]["parent"] = parent = None
            each = parent
        safe.update(path)


def _genre(number: int, rows: Mapping[int, dict[str, Any]], notes: Counter[str]) -> Genre:
    row = rows[number]
    line = [number]
    while (parent := rows[line[-1]]["parent"]) is not None:
        line.append(parent)
    if row["top"] not in (None, line[-1]):
        notes["wrong top level"] += 1
    return Genre(
        _id=number,
        title=row["title"],
        parent=row["parent"],
        top_level=line[-1],
        path=[rows[each]["title"] for each in reversed(line)],
        tracks=row["tracks"],
    )


def genre_names(top: str, numbers: str, titles: Mapping[int, str]) -> list[str]:
    """Return the genre titles of a track, its top genre first.

    Parameters
    ----------
    top : title of the top genre, or empty
    numbers : as in `tracks.csv`: ``"[21, 45]"``, or empty
    titles : by number; unknown numbers are left out

    Raises
    ------
    ValueError
        ``numbers`` is no such list.
    """
    found = [titles[each] for each in (genre_numbers(numbers) if numbers else ()) if each in titles]
    return list(dict.fromkeys(([top] if top else []) + found))


async def write_genres(database: Database, tree: GenreTree) -> int:
    """Make `genres` equal to the tree; return how many documents changed, came or went."""
    genres = database[GENRES.name]
    found = {each["_id"]: each for each in await answered(genres.find({}).to_list(None), "reading genres")}
    gone = [number for number in found if number not in tree.genres]
    operations = [
        ReplaceOne({"_id": number}, dict(genre), upsert=True)
        for number, genre in tree.genres.items()
        if found.get(number) != genre
    ]
    if operations:
        await answered(genres.bulk_write(operations, ordered=False), "writing genres")
    if gone:
        await answered(genres.delete_many({"_id": {"$in": gone}}), "removing genres")
    return len(operations) + len(gone)
