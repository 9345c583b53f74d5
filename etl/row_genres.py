"""The three cells about genres of a track, checked against the tree."""

from typing import NamedTuple

from etl.cells import genre_numbers
from etl.genres import GenreTree
from etl.remembered import Fault, Remembered
from etl.text import NAME_LIMIT, plain_text

FIELDS = ("genre_top", "genres", "genres_all")
Cells = tuple[str, str, str]


class Genres(NamedTuple):
    """Genres of one track: titles with the top one first, known numbers, faults as (column, kind, cell)."""

    names: list[str]
    numbers: list[int]
    faults: tuple[tuple[str, str, str], ...]


def genre_reader(tree: GenreTree) -> Remembered[Cells, Genres | Fault]:
    """Return a reader of the cells ``FIELDS``; only a ``genres`` that is no list is a fault of the whole."""
    titles = tree.titles
    roots = {genre["title"] for genre in tree.genres.values() if genre["parent"] is None}

    def read(three: Cells) -> Genres:
        top, listed, with_parents = three
        found = genre_numbers(listed) if listed else []
        known = [each for each in found if each in titles]
        faults = []
        if len(known) < len(found):
            faults.append(("track_genres", "unknown genre", listed))
        name = plain_text(top, NAME_LIMIT)
        if name and name not in roots:
            faults.append(("track_genre_top", "not a root of the tree", top))
        if with_parents:
            try:
                if set(genre_numbers(with_parents)) != tree.with_parents(found):
                    faults.append(("track_genres_all", "not the genres and their parents", with_parents))
            except ValueError:
                faults.append(("track_genres_all", "not a list of numbers", with_parents))
        names = dict.fromkeys(([name] if name else []) + [titles[each] for each in known])
        return Genres(list(names), known, tuple(faults))

    return Remembered(read)
