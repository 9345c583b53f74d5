"""The report's arithmetic against known answers."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from etl import report_maths as maths
from etl.report_families import families
from etl.report_svg import breadth, label
from etl.report_tables import tables

SPREAD = np.random.default_rng(2).normal(size=(60, 6)) * np.array([5, 3, 1, 1, 0.5, 0.1]) + 7


def test_principal_components_are_those_of_a_singular_value_decomposition() -> None:
    found = maths.principal_components(SPREAD)
    assert found is not None
    left, singular, right = np.linalg.svd(SPREAD - SPREAD.mean(axis=0), full_matrices=False)
    scores, axes = (left * singular)[:, :2], right[:2]
    signs = np.sign((scores * found.scores).sum(axis=0))
    assert found.scores == pytest.approx(scores * signs, abs=1e-9)
    assert found.axes == pytest.approx(axes * signs[:, None], abs=1e-9)
    assert found.explained == pytest.approx((singular**2 / (singular**2).sum())[:2])
    assert (found.axes[[0, 1], np.abs(found.axes).argmax(axis=1)] > 0).all()


@pytest.mark.parametrize("vectors", [SPREAD[:2], SPREAD[:, :1], np.ones((9, 3)), np.empty((0, 3))])
def test_too_little_for_a_map_gives_none(vectors: np.ndarray) -> None:
    assert maths.principal_components(vectors) is None


def test_a_few_distant_points_do_not_set_the_window() -> None:
    scores = np.vstack([np.random.default_rng(3).uniform(-1, 1, (1000, 2)), [[500, 0], [0, -400]]])
    window, outside = maths.window(scores)
    assert outside == 2
    assert np.abs(window).max() < 2
    assert maths.window(scores[:3])[1] == 0


def test_families_follow_the_names_whatever_they_are() -> None:
    names = [
        *(f"mfcc_{n:02d}_{s}" for s in ("mean", "std") for n in range(5)),
        *(f"tonnetz.mean.{n:02d}" for n in range(1, 7)),
        *(f"chroma_{note}_{s}" for note in ("c", "cs", "d", "ds") for s in ("mean", "std")),
        *(f"spectral_centroid_{s}" for s in ("mean", "std", "max")),
        "rms_mean", "rms_std", "tempo",
    ]  # fmt: skip
    found = families(names)
    assert [(each.title, len(each.columns), each.series) for each in found] == [
        ("mfcc mean", 5, True),
        ("mfcc std", 5, True),
        ("tonnetz mean", 6, True),
        ("chroma mean", 4, True),
        ("chroma std", 4, True),
        ("spectral centroid", 3, False),
        ("other", 3, False),
    ]
    assert found[2].labels == ["01", "02", "03", "04", "05", "06"]
    assert found[3].labels == ["c", "cs", "d", "ds"]
    assert found[5].labels == ["mean", "std", "max"]
    assert found[6].labels == ["rms mean", "rms std", "tempo"]


def test_a_large_family_is_drawn_in_pieces() -> None:
    found = families([f"part_{word * 3}" for word in "hijklmnopqrstuvwxyzHIJKLMNOPQRST"])
    assert [(each.title, len(each.columns)) for each in found] == [("part (1)", 24), ("part (2)", 8)]


@given(
    st.lists(
        st.text(max_size=12) | st.from_regex(r"[a-z]_[0-9a-g]{1,2}_(mean|std)", fullmatch=True), max_size=80
    )
)
def test_every_feature_is_in_one_family(names: list[str]) -> None:
    found = families(names)
    assert sorted(column for family in found for column in family.columns) == list(range(len(names)))
    assert all(len(family.labels) == len(family.columns) > 0 for family in found)


@given(st.dictionaries(st.integers(0, 86_400), st.integers(1, 500), min_size=1, max_size=60))
def test_a_histogram_counts_every_track_once(lengths: dict[int, int]) -> None:
    lengths = dict(sorted(lengths.items()))
    found = maths.histogram(lengths)
    assert sum(found.counts) + found.beyond == sum(lengths.values())
    assert found.beyond <= 0.01 * sum(lengths.values())
    for low, high, count in zip(found.edges[:-1], found.edges[1:], found.counts, strict=True):
        assert count == sum(tracks for second, tracks in lengths.items() if low <= second < high)
    assert len(found.counts) <= 41
    values = np.repeat(list(lengths), list(lengths.values()))
    assert maths.length_quantiles(lengths, [0.0, 0.5, 1.0]) == [
        int(np.quantile(values, share, method="inverted_cdf")) for share in (0.0, 0.5, 1.0)
    ]


@given(st.text(max_size=60), st.integers(4, 30))
def test_a_label_is_one_printable_line_of_bounded_width(text: str, most: int) -> None:
    found = label(text, max(most, len("(no text)")))
    assert found
    assert found.isprintable()
    assert breadth(found) <= max(most, len("(no text)"))


def test_a_document_becomes_tables_whatever_its_shape() -> None:
    document: dict[str, Any] = {
        "rows": 3,
        "bad_rows": {"no title": 2},
        "cells": {"a": {"empty": 1, "html": 2}, "b": {"empty": 3}},
        "sparse": {"a": {"x": 1}, "b": {"y": 2}, "c": {"z": 3}},
        "list": [{"text": "CC", "rows": 1}, {"text": "BY", "rows": 2}],
        "deep": {"er": {"and": {"deeper": [1, 2]}}},
        "mixed": [[1, 2], {"x": {"y": 1}}],
        "many": [{"n": n} for n in range(150)],
        "none": {},
    }
    found = {table.title: table for table in tables(document)}
    assert found[""].rows == [["rows", 3], ["none", "none"]]
    assert found["bad rows"].rows == [["no title", 2]]
    assert (found["cells"].columns, found["cells"].rows) == (
        ["", "empty", "html"],
        [["a", 1, 2], ["b", 3, ""]],
    )
    assert found["sparse"].rows == [["a", "x", 1], ["b", "y", 2], ["c", "z", 3]]
    assert (found["list"].columns, found["list"].rows) == (["text", "rows"], [["CC", 1], ["BY", 2]])
    assert found["deep: er: and"].rows == [["deeper", "1, 2"]]
    assert found["mixed"].rows == [["1", "1, 2"]]
    assert found["mixed: 2: x"].rows == [["y", 1]]
    assert (len(found["many"].rows), found["many"].left_out) == (100, 50)


_leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
_trees = st.recursive(
    _leaves,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
)


@given(st.dictionaries(st.text(max_size=6), _trees, max_size=5))
def test_tables_of_any_document_are_rectangular(document: dict[str, Any]) -> None:
    for table in tables(document):
        width = len(table.columns) or len(table.rows[0])
        assert {len(row) for row in table.rows} == {width}
        assert len(table.numeric) == width
        assert not any(isinstance(cell, dict | list) for row in table.rows for cell in row)
