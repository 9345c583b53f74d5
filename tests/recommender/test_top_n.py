"""The best items by score alone: exact whatever the block, however close the scores."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from recommender import top_n as module
from recommender.candidates import score_exactly
from recommender.model import Model
from recommender.top_n import Items


def sorted_in_full(
    rows: NDArray[np.float32], users: NDArray[np.float32], n: int
) -> tuple[list[list[int]], list[list[float]]]:
    """Score all in float64 by the one definition, and sort all."""
    ones = np.ones(len(rows), np.float32)
    model = Model.build("m", np.arange(1, len(rows) + 1), rows, ones > 0, ones, 0.1, 1.0)
    every, found, scores = np.arange(len(rows)), [], []
    for user in users:
        exact = score_exactly(model, every, user.astype(np.float64))
        order = np.argsort(-exact, kind="stable")[:n]
        found.append(order.tolist())
        scores.append(exact[order].tolist())
    return found, scores


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    items=st.integers(1, 3_000),
    users=st.integers(1, 300),
    n=st.integers(1, 40),
    scale=st.sampled_from([1e-7, 0.1, 1.0, 30.0]),
    distinct=st.sampled_from([None, 1, 5, 200]),
)
def test_lists_are_those_of_a_full_sort(
    seed: int, items: int, users: int, n: int, scale: float, distinct: int | None
) -> None:
    random = np.random.default_rng(seed)
    rows = random.normal(scale=scale, size=(items, 5)).astype(np.float32)
    if distinct is not None:  # many equal items: ties by number
        rows = rows[random.integers(0, min(distinct, items), items)]
    of = random.normal(size=(users, 5)).astype(np.float32)
    of[:: max(1, users // 3)] = 0.0  # a user for whom all are equal
    found, scores = Items(rows).top_n(of, n)
    assert (found.tolist(), scores.tolist()) == sorted_in_full(rows, of, n)


def test_what_integers_cannot_tell_apart_is_settled_in_float64() -> None:
    random = np.random.default_rng(3)
    base = random.normal(size=32)
    # 400 items whose scores differ by less than a product of 8-bit integers, or in float32, resolves
    rows = (base + random.normal(scale=2e-7, size=(400, 32))).astype(np.float32) * np.float32(20)
    users = (base + random.normal(scale=0.01, size=(9, 32))).astype(np.float32)
    found, scores = Items(rows).top_n(users, 20)
    assert (found.tolist(), scores.tolist()) == sorted_in_full(rows, users, 20)


@pytest.mark.parametrize("block", [1, 7, 128])
def test_the_size_of_the_blocks_changes_nothing(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(4)
    items = Items(random.normal(size=(5_000, 16)).astype(np.float32))
    users = random.normal(size=(40, 16)).astype(np.float32)
    whole = items.top_n(users, 20)
    monkeypatch.setattr(module, "BLOCK", block)
    again = items.top_n(users, 20)
    np.testing.assert_array_equal(whole[0], again[0])
    np.testing.assert_array_equal(whole[1], again[1])
