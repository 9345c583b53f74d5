"""Metrics against tables worked by hand."""

from math import log2

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recommender.metrics import (
    average_precision_at_k,
    bootstrap,
    bootstrap_columns,
    bootstrap_ratio,
    coverage,
    gini,
    ndcg_at_k,
    novelty,
    recall_at_k,
    reciprocal_rank,
)

# list, relevant, k, NDCG, recall, average precision: worked by hand
TABLE = [
    ([1, 2, 3, 4], {1}, 4, 1.0, 1.0, 1.0),
    ([1, 2, 3, 4], {2}, 4, 1 / log2(3), 1.0, 1 / 2),
    ([1, 2, 3, 4], {3}, 4, 0.5, 1.0, 1 / 3),
    ([1, 2, 3, 4], {4}, 3, 0.0, 0.0, 0.0),
    ([1, 2, 3, 4], {1, 3}, 4, 1.5 / (1 + 1 / log2(3)), 1.0, (1 + 2 / 3) / 2),
    ([1, 2, 3, 4], {1, 9}, 4, 1 / (1 + 1 / log2(3)), 0.5, 0.5),
    ([1, 2, 3, 4], {2, 3, 4, 5, 6}, 2, (1 / log2(3)) / (1 + 1 / log2(3)), 0.2, 0.25),
    ([1], {1, 2}, 10, 1 / (1 + 1 / log2(3)), 0.5, 0.5),
    ([], {1}, 10, 0.0, 0.0, 0.0),
]


@pytest.mark.parametrize(("ranked", "relevant", "k", "ndcg", "recall", "precision"), TABLE)
def test_metrics_equal_the_table_worked_by_hand(
    ranked: list[int], relevant: set[int], k: int, ndcg: float, recall: float, precision: float
) -> None:
    assert ndcg_at_k(ranked, relevant, k) == pytest.approx(ndcg, abs=1e-12)
    assert recall_at_k(ranked, relevant, k) == pytest.approx(recall, abs=1e-12)
    assert average_precision_at_k(ranked, relevant, k) == pytest.approx(precision, abs=1e-12)


ids = st.integers(1, 40)


@given(st.lists(ids, unique=True, max_size=30), st.sets(ids, min_size=1), st.integers(1, 25))
def test_metrics_lie_between_none_and_all(ranked: list[int], relevant: set[int], k: int) -> None:
    for metric in (ndcg_at_k, recall_at_k, average_precision_at_k):
        assert 0.0 <= metric(ranked, relevant, k) <= 1.0 + 1e-12


@given(st.sets(ids, min_size=1, max_size=20), st.integers(1, 25))
def test_the_best_order_has_full_ndcg_and_precision(relevant: set[int], k: int) -> None:
    ranked = [*sorted(relevant), *range(100, 130)]

    assert ndcg_at_k(ranked, relevant, k) == pytest.approx(1.0)
    assert average_precision_at_k(ranked, relevant, k) == pytest.approx(1.0)


@pytest.mark.parametrize("metric", [ndcg_at_k, recall_at_k, average_precision_at_k])
def test_a_user_without_relevant_items_is_refused(metric: object) -> None:
    with pytest.raises(ValueError, match="no relevant items"):
        metric([1], set(), 10)  # type: ignore[operator]
    with pytest.raises(ValueError, match="at least 1"):
        metric([1], {1}, 0)  # type: ignore[operator]


def test_coverage_counts_each_item_once() -> None:
    assert coverage([[1, 2], [2, 3], []], items=6) == 0.5
    with pytest.raises(ValueError, match="at least one item"):
        coverage([[1]], items=0)


def test_novelty_is_the_mean_of_bits_of_surprise() -> None:
    listeners = {1: 8, 2: 4, 3: 1}

    assert novelty([[1], [2]], listeners, users=8) == 0.5  # 0 and 1 bits
    assert novelty([[3, 99]], listeners, users=8) == 3.0  # nobody counts as one
    assert novelty([], listeners, users=8) == 0.0
    with pytest.raises(ValueError, match="at least one user"):
        novelty([[1]], listeners, users=0)


def test_an_interval_is_seeded_and_holds_its_mean() -> None:
    values = np.random.default_rng(3).random(200)

    first, again, other = [bootstrap(values, seed=seed, resamples=300) for seed in (1, 1, 2)]

    assert first == again != other
    assert first.low < first.mean < first.high
    # the textbook interval of a mean: 1.96 standard errors to each side
    half = 1.96 * values.std() / np.sqrt(200)
    assert first.high - first.low == pytest.approx(2 * half, rel=0.2)


def test_the_interval_of_a_constant_is_a_point() -> None:
    interval = bootstrap([0.25] * 10, seed=1)

    assert (interval.low, interval.mean, interval.high) == (0.25, 0.25, 0.25)
    with pytest.raises(ValueError, match="at least one value"):
        bootstrap([], seed=1)


def test_a_ratio_draws_its_users_in_pairs() -> None:
    baseline = np.random.default_rng(3).random(50)

    interval = bootstrap_ratio(3.0 * baseline, baseline, seed=1)

    assert interval.mean == pytest.approx(3.0)
    assert interval.low == pytest.approx(3.0)
    assert interval.high == pytest.approx(3.0)
    with pytest.raises(ValueError, match="do not pair"):
        bootstrap_ratio([1.0], [1.0, 2.0], seed=1)


def test_a_ratio_to_nothing_is_infinite() -> None:
    assert bootstrap_ratio([0.5, 0.5], [0.0, 0.0], seed=1).mean == np.inf


@pytest.mark.parametrize(
    ("ranked", "relevant", "expected"),
    [([1, 2, 3], {1, 3}, 1.0), ([1, 2, 3], {3}, 1 / 3), ([1, 2, 3], {9}, 0.0), ([], {1}, 0.0)],
)
def test_the_reciprocal_rank_is_that_of_the_first_hit(
    ranked: list[int], relevant: set[int], expected: float
) -> None:
    assert reciprocal_rank(ranked, relevant) == pytest.approx(expected)


def test_gini_is_none_when_all_are_shown_alike_and_nearly_one_when_one_is() -> None:
    assert gini([3, 3, 3, 3]) == 0.0
    assert gini([0, 0, 0, 8]) == pytest.approx(3 / 4)
    assert gini([4, 1, 3, 2]) == pytest.approx(1 / 4)  # (1*-3 + 2*-1 + 3*1 + 4*3) / (4*10)
    assert gini([0, 0]) == 0.0
    for nobody in ([], [1, -1]):
        with pytest.raises(ValueError, match="at least one count"):
            gini(nobody)


@given(st.lists(st.integers(0, 50), min_size=1, max_size=12))
def test_gini_is_half_the_mean_difference_over_the_mean(counts: list[int]) -> None:
    values = np.array(counts, float)
    if values.sum() > 0:
        differences = np.abs(values[:, None] - values[None, :]).mean()
        assert gini(counts) == pytest.approx(differences / (2 * values.mean()), abs=1e-12)


def test_columns_see_the_same_draws_so_their_difference_is_paired() -> None:
    values = np.random.default_rng(3).random((60, 2))
    shifted = np.column_stack((values[:, 0], values[:, 0] - 0.25))

    alone = bootstrap(values[:, 0], seed=1)
    first, second = bootstrap_columns(shifted, seed=1)
    [difference] = bootstrap_columns(shifted[:, :1] - shifted[:, 1:], seed=1)

    assert (first.low, first.mean, first.high) == pytest.approx((alone.low, alone.mean, alone.high))
    assert second.high == pytest.approx(first.high - 0.25)
    assert (difference.low, difference.high) == pytest.approx((0.25, 0.25))
