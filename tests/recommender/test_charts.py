"""Charts out of counts, and the tree of genres, against a plain recount."""

from collections import defaultdict

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from recommender.catalogue import Catalogue, Chart
from recommender.charts import chart, genre_charts, genre_nodes
from recommender.history import genre_key

PATHS = [["A"], ["A", "B"], ["A", "B", "C"], ["A", "D"], ["E"], ["E", "B"]]  # two genres of title B
BELOW = {"A": "ABCD", "B": "BC", "C": "C", "D": "D", "E": "EB", "F": "F"}
"""By title alone: B of E is also B of A, but what stands below B of A does not come under E."""


def test_nodes_know_their_parent_and_all_below() -> None:
    nodes = genre_nodes(["b", "F", "f"], PATHS)

    assert [(node.title, node.parent) for node in nodes] == [
        ("A", None), ("B", "A"), ("C", "B"), ("D", "A"), ("E", None), ("F", None),
    ]  # fmt: skip
    for node in nodes:
        assert set(node.keys.tolist()) == {genre_key(title) for title in BELOW[node.title]}


def test_equal_counts_stand_in_the_order_of_track_ids() -> None:
    found = chart(np.array([9, 3, 7, 5]), np.array([2, 2, 4, 1]), 3)

    assert (found.track_ids.tolist(), found.counts.tolist()) == ([7, 3, 9], [4, 2, 2])


@given(
    st.dictionaries(st.integers(1, 12), st.lists(st.sampled_from("ABCDEFabz"), max_size=4), min_size=1),
    st.dictionaries(st.integers(1, 14), st.integers(1, 5)),
    st.integers(1, 5),
)
def test_each_genre_holds_the_most_listened_of_all_below(
    genres: dict[int, list[str]], counts: dict[int, int], length: int
) -> None:
    ids = sorted(genres)
    entries = [(genre_key(name), row) for row, track in enumerate(ids) for name in genres[track]]
    keys, rows = (np.array([entry[at] for entry in entries]) for at in (0, 1))
    catalogue = Catalogue("v1", np.array(ids), np.array(ids), keys.astype(np.uint32), rows.astype(np.int64))
    counted = Chart(np.array(list(counts), np.int64), np.array(list(counts.values()), np.int64))
    nodes = genre_nodes({name for names in genres.values() for name in names}, PATHS)

    found = genre_charts(catalogue, nodes, counted, length)

    below = BELOW | {"Z": "Z"}
    expected: defaultdict[str, list[tuple[int, int]]] = defaultdict(list)
    for track in ids:
        own = {name.upper() for name in genres[track]}
        for title, titles in below.items():
            if own & set(titles) and track in counts:
                expected[title].append((-counts[track], track))
    assert {
        node.title.upper(): list(zip((-one.counts).tolist(), one.track_ids.tolist(), strict=True))
        for node, one in found
    } == {title: sorted(some)[:length] for title, some in expected.items()}
