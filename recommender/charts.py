"""Charts out of counted listeners: overall, and for every genre with all that stands below it in the tree."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from recommender.catalogue import Catalogue, Chart
from recommender.history import genre_key


class GenreNode(NamedTuple):
    """A genre of the tree.

    ``keys`` : uint32, ``history.genre_key`` of it and of every genre below it
    ``parent`` : title of the genre above; None for a root, and where no tree is known
    """

    title: str
    parent: str | None
    keys: NDArray[np.uint32]


def genre_nodes(titles: Iterable[str], paths: Iterable[Sequence[str]]) -> list[GenreNode]:
    """Return every genre once, in the order of titles; spelling by case alone makes no other genre.

    Parameters
    ----------
    titles : genres that tracks name
    paths : titles from a root down to a genre, one path for each genre of the tree. Genres of one title are
        taken together: tracks name titles
    """
    spelled: dict[int, str] = {}
    parents: dict[int, str | None] = {}
    below: defaultdict[int, set[int]] = defaultdict(set)
    for path in paths:
        keys = [genre_key(title) for title in path]
        for at, key in enumerate(keys):
            spelled.setdefault(key, path[at])
            parents.setdefault(key, path[at - 1] if at else None)
            below[key].update(keys[at:])
    for title in sorted(titles):
        spelled.setdefault(genre_key(title), title)
        below[genre_key(title)].add(genre_key(title))
    return [
        GenreNode(title, parents.get(key), np.array(sorted(below[key]), np.uint32))
        for key, title in sorted(spelled.items(), key=lambda each: each[1])
    ]


def chart(track_ids: NDArray[np.int64], counts: NDArray[np.int64], length: int) -> Chart:
    """Return the ``length`` tracks with the most listeners; both arrays int64 [t], each track once."""
    order = np.lexsort((track_ids, -counts))[:length]
    return Chart(track_ids[order], counts[order])


def genre_charts(
    catalogue: Catalogue, nodes: Sequence[GenreNode], counted: Chart, length: int
) -> list[tuple[GenreNode, Chart]]:
    """Return the chart of each genre that was listened to. A track counts for its genres and all above them.

    Parameters
    ----------
    counted : all tracks that were listened to, in any order; those outside the catalogue count for no genre
    """
    rows = catalogue.rows(counted.track_ids)
    inside = rows >= 0
    counts = np.zeros(len(catalogue.track_ids), np.int64)
    counts[rows[inside]] = counted.counts[inside]
    heard = counts[catalogue.genre_rows] > 0
    keys, heard_rows = catalogue.genre_keys[heard], catalogue.genre_rows[heard]
    order = np.argsort(keys, kind="stable")
    keys, heard_rows = keys[order], heard_rows[order]
    charts = []
    for node in nodes:
        spans = zip(np.searchsorted(keys, node.keys), np.searchsorted(keys, node.keys, "right"), strict=True)
        found = [heard_rows[begin:end] for begin, end in spans if begin < end]
        if found:
            of_genre = np.unique(np.concatenate(found))
            charts.append((node, chart(catalogue.track_ids[of_genre], counts[of_genre], length)))
    return charts
