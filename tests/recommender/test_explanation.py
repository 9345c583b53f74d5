"""Shares come from the same solve as the score, so they add up to it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recommender.explanation import contributions, top_shares
from recommender.foldin import Solution, solve
from recommender.model import Model


def made(rows: np.ndarray, **parameters: float) -> Model:  # type: ignore[type-arg]
    n = len(rows)
    given = {"reg_param": 0.1, "alpha": 10.0} | parameters
    return Model.build("m", np.arange(1, n + 1), rows, np.ones(n, bool), np.ones(n, np.float32), **given)


def solved(model: Model, track_ids: list[int], strengths: list[float]) -> Solution:
    solution = solve(model, np.array(track_ids), np.array(strengths))
    assert solution is not None
    return solution


@settings(deadline=None)
@given(st.integers(0, 2**32), st.integers(2, 40), st.integers(1, 12))
def test_the_contributions_add_up_to_the_score(seed: int, items: int, rank: int) -> None:
    random = np.random.default_rng(seed)
    model = made(random.normal(scale=rank**-0.5, size=(items, rank)))
    heard = np.sort(random.choice(model.track_ids, random.integers(1, items), replace=False))
    strengths = random.normal(size=len(heard))
    strengths[0] = 1.0
    solution = solved(model, heard.tolist(), strengths.tolist())
    factors = model.factor_rows.astype(float)

    parts = contributions(solution, factors)

    assert parts.shape == (items, len(heard))
    assert parts.sum(axis=1) == pytest.approx(factors @ solution.user_factors, abs=1e-9)
    assert (parts[:, strengths < 0] == 0.0).all()


def test_one_interaction_bears_the_whole_score() -> None:
    model = made(np.array([[1.0, 0.0], [0.8, 0.1]]))

    shares = top_shares(solved(model, [1], [1.0]), model.factor_rows[1:].astype(float))

    assert shares == [[(0, 1.0)]]


def test_the_nearer_of_two_interactions_contributes_more() -> None:
    model = made(np.array([[1.0, 0.0], [0.0, 1.0], [0.9, 0.1]]))

    [shares] = top_shares(solved(model, [1, 2], [1.0, 1.0]), model.factor_rows[2:].astype(float))

    assert [row for row, _ in shares] == [0, 1]
    assert shares[0][1] > 0.8
    assert sum(share for _, share in shares) == pytest.approx(1.0, abs=2e-6)


def test_at_most_three_contributors_are_named_greatest_first() -> None:
    random = np.random.default_rng(1)
    model = made(random.random((30, 4)))
    solution = solved(model, list(range(1, 21)), [1.0] * 20)

    for shares in top_shares(solution, model.factor_rows[20:].astype(float)):
        assert len(shares) == 3
        assert [share for _, share in shares] == sorted((share for _, share in shares), reverse=True)


def test_equal_contributors_stand_in_the_order_of_their_rows() -> None:
    model = made(np.array([[1.0, 0.5]] * 5))

    [shares] = top_shares(solved(model, [1, 2, 3, 4], [1.0] * 4), model.factor_rows[4:].astype(float))

    assert shares == [(0, 0.25), (1, 0.25), (2, 0.25)]


def test_a_score_that_is_not_positive_has_no_shares() -> None:
    model = made(np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0]]))

    shares = top_shares(solved(model, [1], [1.0]), model.factor_rows[1:].astype(float))

    assert shares == [[], []]
    assert top_shares(solved(model, [1], [1.0]), np.empty((0, 2))) == []
