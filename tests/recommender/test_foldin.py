"""Fold-in solves Spark's equation: by known answer, by its gradient, and against Spark itself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from recommender.encoding import HIDDEN, LIKED, History
from recommender.foldin import fold_in, solve
from recommender.model import Model
from recommender.ranking import Catalogue, Charts, Request, recommend
from recommender.strength import strengths
from schemas.errors import InvalidModel
from tests.recommender.ranked import ALL_NEW, NOW_S, history

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def made(
    rows: NDArray[np.float32],
    *,
    fitted: NDArray[np.bool_] | None = None,
    reg_param: float = 0.1,
    alpha: float = 10.0,
) -> Model:
    """Return a model of the tracks 1, 2, ... with these factors."""
    n = len(rows)
    fitted = np.ones(n, bool) if fitted is None else fitted
    return Model.build("m", np.arange(1, n + 1), rows, fitted, np.ones(n, np.float32), reg_param, alpha)


def random_model(seed: int, items: int, rank: int, alpha: float = 10.0) -> Model:
    random = np.random.default_rng(seed)
    rows = random.normal(scale=rank**-0.5, size=(items, rank)).astype(np.float32)
    return made(rows, fitted=random.random(items) < 0.8, reg_param=random.uniform(0.01, 1.0), alpha=alpha)


def objective_gradient(
    model: Model, track_ids: NDArray[np.int64], strengths: NDArray[np.float64], x: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return half the gradient of the objective, summed item by item as the paper writes it."""
    r = dict(zip(track_ids.tolist(), strengths.astype(np.float32).astype(float), strict=True))
    gradient = model.reg_param * sum(value > 0 for value in r.values()) * x
    for at, track_id in enumerate(model.track_ids.tolist()):
        if not model.fitted[at] and track_id not in r:
            continue
        y = model.factor_rows[at].astype(float)
        value = r.get(track_id, 0.0)
        preference = 1.0 if value > 0 else 0.0
        gradient = gradient + (1.0 + model.alpha * abs(value)) * (y @ x - preference) * y
    return gradient


def test_one_factor_has_the_answer_worked_by_hand() -> None:
    model = made(np.array([[1.0], [2.0], [3.0]], np.float32), reg_param=0.5, alpha=2.0)

    x = fold_in(model, [(np.array([1, 3]), np.array([1.0, -0.5]))])

    # Y'Y = 14; track 1: c1 = 2, weight in b 3; track 3: c1 = 1, preference 0; lambda = 0.5 * 1
    assert x == pytest.approx(np.array([[3.0 / (14.0 + 2.0 * 1.0 + 1.0 * 9.0 + 0.5)]]), rel=1e-12)


@settings(deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 30), st.integers(1, 8), st.floats(0.1, 40.0))
def test_the_gradient_of_the_objective_vanishes(seed: int, items: int, rank: int, alpha: float) -> None:
    model = random_model(seed, items, rank, alpha)
    random = np.random.default_rng(seed)
    track_ids = np.sort(random.choice(model.track_ids, random.integers(1, items + 1), replace=False))
    strengths = random.normal(size=len(track_ids))
    strengths[0] = abs(strengths[0]) + 0.1

    [x] = fold_in(model, [(track_ids, strengths)])

    assert np.abs(objective_gradient(model, track_ids, strengths, x)).max() < 1e-9


def test_a_checkerboard_is_completed() -> None:
    """Who heard all tracks of one colour but one gets that one first, and none of the other colour."""
    colours = np.arange(20) % 2
    rows = np.stack([colours == 0, colours == 1], axis=1).astype(np.float32)
    model = made(rows)

    for colour in (0, 1):
        heard = np.flatnonzero(colours == colour)[:-1] + 1
        missing = np.flatnonzero(colours == colour)[-1]
        [x] = fold_in(model, [(heard, np.ones(len(heard)))])
        scores = rows @ x
        scores[heard - 1] = -np.inf
        assert scores.argmax() == missing
        assert scores[missing] > 0.5
        assert scores[colours != colour].max() == pytest.approx(0.0, abs=1e-12)


def test_a_skip_lowers_the_score_of_what_is_like_it() -> None:
    model = made(np.array([[1.0, 0.0], [0.9, 0.3], [0.0, 1.0]], np.float32))
    liked = (np.array([1]), np.array([1.0]))
    liked_and_skipped = (np.array([1, 2]), np.array([1.0, -1.0]))

    before, after = fold_in(model, [liked, liked_and_skipped])

    assert model.factor_rows[1] @ after < model.factor_rows[1] @ before


def test_a_user_without_a_known_positive_interaction_is_cold() -> None:
    model = random_model(1, 10, 3)
    users = [
        (np.array([], np.int64), np.array([])),
        (np.array([1, 2]), np.array([-1.0, -2.0])),
        (np.array([99]), np.array([1.0])),
        (np.array([1, 99]), np.array([-1.0, 1.0])),
        (np.array([1]), np.array([1.0])),
    ]

    found = fold_in(model, users)

    assert np.isnan(found).all(axis=1).tolist() == [True, True, True, True, False]
    assert fold_in(model, []).shape == (0, 3)


def test_unknown_tracks_change_nothing() -> None:
    model = random_model(2, 10, 3)
    known = (np.array([2, 5]), np.array([1.0, -0.5]))
    more = (np.array([2, 5, 77]), np.array([1.0, -0.5, 9.0]))

    assert np.array_equal(fold_in(model, [known]), fold_in(model, [more]))


def test_users_solved_together_equal_users_solved_alone() -> None:
    model = random_model(3, 200, 16)
    random = np.random.default_rng(3)
    users = [
        (np.sort(random.choice(model.track_ids, 9, replace=False)), random.normal(size=9)) for _ in range(40)
    ]

    together = fold_in(model, users)
    alone = np.concatenate([fold_in(model, [user]) for user in users])

    assert np.array_equal(together, alone, equal_nan=True)


def test_an_equation_without_a_solution_is_an_invalid_model() -> None:
    model = made(np.full((2, 2), 1e30, np.float32), reg_param=1e-300)

    with pytest.raises(InvalidModel, match="no solution"):
        solve(model, np.array([1]), np.array([1.0]))


@dataclass(frozen=True)
class Fit:
    """What Spark fitted on the strengths of some histories: the model, and its own factors of each user."""

    model: Model
    histories: dict[int, History]
    user_factors: dict[int, NDArray[np.float64]]

    def warm(self) -> Iterator[tuple[int, NDArray[np.float64]]]:
        """Yield the users with a positive interaction, and our factors of them."""
        ours = fold_in(self.model, [strengths(history) for history in self.histories.values()])
        for user, of_user in zip(self.histories, ours, strict=True):
            if not np.isnan(of_user).any():
                yield user, of_user


@pytest.fixture(scope="module")
def fit(spark: SparkSession) -> Fit:
    """Fit the histories of 60 users, some of them short, with listens, likes, skips and hides."""
    from pyspark.ml.recommendation import ALS

    random = np.random.default_rng(5)
    rank, alpha, reg_param = 6, 7.5, 0.08
    histories = {}
    for user in range(60):
        tracks = np.sort(random.choice(40, 2 if user == 0 else random.integers(5, 15), replace=False)) + 1
        rows = [{"track_id": track_id} | said(random) for track_id in tracks.tolist()]
        histories[user] = history(*rows)
    ratings = [
        (user, int(track_id), float(value))
        for user, of in histories.items()
        for track_id, value in zip(*strengths(of), strict=True)
    ]
    frame = spark.createDataFrame(ratings, "user int, item int, strength double")
    als = ALS(
        rank=rank, alpha=alpha, regParam=reg_param, maxIter=4, implicitPrefs=True, seed=11, numUserBlocks=2,
        numItemBlocks=2, userCol="user", itemCol="item", ratingCol="strength",
    )  # fmt: skip
    found = als.fit(frame)
    by_item = sorted((row["id"], row["features"]) for row in found.itemFactors.collect())
    rows = np.array([features for _, features in by_item], np.float32)
    ones = np.ones(len(rows), np.float32)
    model = Model.build("m", np.array([item for item, _ in by_item]), rows, ones > 0, ones, reg_param, alpha)
    by_user = {row["id"]: np.array(row["features"]) for row in found.userFactors.collect()}
    assert any(value < 0 for _, _, value in ratings)
    return Fit(model, {user: histories[user] for user in by_user}, by_user)


def said(random: np.random.Generator) -> dict[str, int]:
    """Return what one user did with one track."""
    if random.random() < 0.2:
        return {"listens": 0, "skips": int(random.integers(1, 4)), "flags": int(random.choice([0, HIDDEN]))}
    age_s = int(random.integers(0, 200 * 86_400))
    flags = int(random.choice([0, 0, LIKED]))
    return {"listens": int(random.integers(1, 20)), "last_s": NOW_S - age_s, "flags": flags}


@pytest.mark.spark
def test_fold_in_of_the_fitted_users_equals_sparks_user_factors(fit: Fit) -> None:
    warm = list(fit.warm())

    assert len(warm) >= 55
    for user, ours in warm:
        theirs = fit.user_factors[user]
        assert np.linalg.norm(ours - theirs) <= 1e-3 * np.linalg.norm(theirs)


@pytest.mark.spark
def test_lists_of_the_fitted_users_equal_ranking_with_sparks_user_factors(fit: Fit) -> None:
    """Where two lists differ, the two tracks score the same as far as Spark's single precision can tell."""
    tracks = Catalogue("c", fit.model.track_ids, fit.model.track_ids)
    rows = fit.model.factor_rows.astype(np.float64)
    equal = 0
    for user, _ in fit.warm():
        theirs = fit.user_factors[user]
        scores = rows @ theirs
        hidden = fit.histories[user].interactions
        hidden = hidden["track_id"][(hidden["flags"] & HIDDEN) != 0].astype(np.int64)
        scores[fit.model.rows(hidden)] = -np.inf
        expected = np.lexsort((fit.model.track_ids, -scores))[:20]

        request = Request(f"{user:032x}", 0, 1, fit.histories[user])
        [found] = recommend([request], fit.model, tracks, Charts.empty(), ALL_NEW)

        ours = fit.model.rows(np.array([item.track_id for item in found]))
        assert len(ours) == len(expected) == 20
        tolerance = 2e-3 * float(np.linalg.norm(theirs)) * float(np.linalg.norm(rows, axis=1).max())
        assert np.abs(scores[ours] - scores[expected]).max() <= tolerance
        equal += ours.tolist() == expected.tolist()
    assert equal >= 55
