"""What keeps a model out of service."""

from typing import Any

import numpy as np
import pytest

from recommender.metrics import Interval
from training import gate


def evaluation(
    value: float, high: float, kind: str = "random", served: Any = None, tracks: int = 100
) -> dict[str, Any]:
    return {
        "split": {"kind": kind, "tracks": tracks},
        "model": {"ndcg_at_10": {"value": value, "low": value, "high": high}},
        "served": served,
    }


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_factors_that_are_not_finite_are_refused(bad: float) -> None:
    rows = np.ones((4, 2), np.float32)
    rows[2, 1] = bad
    assert gate.not_finite(rows) == (True, "1 of 8 numbers of the item factors are not finite")


def test_factors_that_are_all_zero_are_refused() -> None:
    assert gate.not_finite(np.zeros((4, 2), np.float32)).refused
    assert gate.not_finite(np.ones((4, 2), np.float32)) == gate.PASSED


def test_a_model_without_lists_for_one_user_in_fifty_is_refused() -> None:
    lists = np.arange(200).reshape(100, 2)
    assert gate.not_covering(98, 100, lists).refused
    assert gate.not_covering(99, 100, lists) == gate.PASSED


def test_one_list_for_everybody_is_refused() -> None:
    assert gate.not_covering(3, 3, np.ones((3, 2), np.int64)) == (
        True,
        "every judged user gets the same list",
    )


def test_many_users_decide_by_the_mean_difference_to_popularity() -> None:
    slightly_worse = Interval(-0.001, -0.01, 0.008)
    assert gate.not_better_than_popularity(slightly_worse, 200).refused
    assert gate.not_better_than_popularity(Interval(0.001, -0.01, 0.012), 200) == gate.PASSED


def test_few_users_refuse_only_what_is_worse_with_confidence() -> None:
    assert gate.not_better_than_popularity(Interval(-0.02, -0.10, 0.06), 40) == gate.PASSED
    assert gate.not_better_than_popularity(Interval(-0.20, -0.30, -0.10), 40).refused


def test_new_interactions_decide_against_the_served_model_where_there_are_enough() -> None:
    worse = {"users": 50, "ndcg_at_10": 0.2, "difference": {"value": -0.1, "low": -0.15, "high": -0.05}}
    close = {"users": 50, "ndcg_at_10": 0.2, "difference": {"value": -0.02, "low": -0.05, "high": 0.01}}
    verdict = gate.worse_than_served(evaluation(0.3, 0.4, served=worse), None)
    assert verdict.refused
    assert "with new interactions" in verdict.words
    assert gate.worse_than_served(evaluation(0.01, 0.02, served=close), evaluation(0.9, 0.9)) == gate.PASSED


def test_else_the_served_models_own_evaluation_stands_in_with_a_margin() -> None:
    assert gate.worse_than_served(evaluation(0.15, 0.17), evaluation(0.20, 0.21)).refused
    assert gate.worse_than_served(evaluation(0.17, 0.185), evaluation(0.20, 0.21)) == gate.PASSED


def test_splits_of_another_kind_do_not_compare() -> None:
    verdict = gate.worse_than_served(evaluation(0.1, 0.1, "time"), evaluation(0.5, 0.6, "random"))
    assert not verdict.refused
    assert verdict.words.startswith("not judged: ")
    assert verdict.words.endswith("a split of another kind (random, not time)")
    assert gate.worse_than_served(evaluation(0.1, 0.1), {}).words.endswith("the served model was not judged")


def test_figures_over_catalogues_of_very_different_size_do_not_compare() -> None:
    grown = gate.worse_than_served(evaluation(0.2, 0.21, tracks=8_000), evaluation(0.4, 0.5, tracks=48))
    assert not grown.refused
    assert grown.words.endswith("ranked 48 tracks when it was judged, this one ranked 8,000")
    assert gate.worse_than_served(evaluation(0.2, 0.21, tracks=110), evaluation(0.4, 0.5)).refused
