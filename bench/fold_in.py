"""Fold-in and top 20 of one user: ours beside implicit's ``recommend(recalculate_user=True)``.

Both sides get the same float32 item factors, the same confidences and the same regularisation for each
user, run on one BLAS thread, and take turns user by user. ``ratio`` is our 99th percentile over implicit's
(lower is better) for just this, the median of five repeats; ``list_ratio`` the same for a whole list of ours,
with the rules of ranking and the reasons of each track, which implicit does not make. ``batch_of_16`` and
``lists_of_16`` are our rates in batches of 16 over implicit's rate one by one. ``equal`` says whether every
list has the ids and the rounded scores of a float64 solve with a full sort, and whether implicit's list
agrees with it but for ties within the precision of float32.
"""

import argparse
import platform
import time
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from recommender.encoding import INTERACTION, History
from recommender.foldin import solve_all
from recommender.model import Model
from recommender.ranking import Catalogue, Charts, RankingConfig, Request, recommend
from recommender.strength import strengths
from recommender.top_n import Items
from schemas.errors import MissingRequirement

BATCH = 16
TOLERANCE = 2e-5
SCORES_ONLY = RankingConfig(
    artist_cap=10**6, discovery_share=0.0, known_share=1.0, fair_score=-1e9, recent_tracks=0
)
"""Rules under which a list is the plain top 20 of the scores."""

T = TypeVar("T")
TopList = list[tuple[int, float]]


def run(arguments: list[str]) -> dict[str, Any]:
    """Measure and return ratio, spread, equality, and milliseconds per user.

    Raises
    ------
    MissingRequirement
        implicit is not installed.
    """
    parser = argparse.ArgumentParser(prog="python -m bench fold-in", description=__doc__)
    parser.add_argument("--items", type=int, default=100_000, help="tracks in model and catalogue")
    parser.add_argument("--rank", type=int, default=64, help="factors")
    parser.add_argument("--users", type=int, default=200, help="users, each with 10 to 200 interactions")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--seed", type=int, default=1, help="seed of factors and histories")
    options = parser.parse_args(arguments)
    random = np.random.default_rng(options.seed)
    model, catalogue, requests = _inputs(random, options.items, options.rank, options.users)
    with threadpool_limits(limits=1):
        return {"name": "fold-in", **_measured(model, catalogue, requests, options.repeats)}


def direct(model: Model, wide: NDArray[np.float64], request: Request, length: int) -> TopList:
    """Return the top of one user by the book: one equation, all scores in float64, all sorted.

    Parameters
    ----------
    wide : float64 [items, rank], the model's factors, converted beforehand
    """
    track_ids, r = strengths(request.history)
    r = r.astype(np.float32).astype(np.float64)
    factors = wide[np.searchsorted(model.track_ids, track_ids)]
    c1 = model.alpha * np.abs(r)
    ridge = model.reg_param * np.count_nonzero(r > 0) * np.eye(model.rank)
    matrix = model.gram + (factors.T * c1) @ factors + ridge
    x = np.linalg.solve(matrix, factors.T @ ((1.0 + c1) * (r > 0)))
    scores = np.round(wide @ x, 6)
    best = np.argsort(-scores, kind="stable")[:length]
    return list(zip(model.track_ids[best].tolist(), scores[best].tolist(), strict=True))


def _measured(model: Model, catalogue: Catalogue, requests: list[Request], repeats: int) -> dict[str, Any]:
    wide = model.factor_rows.astype(np.float64)
    ours = partial(recommend, model=model, catalogue=catalogue, charts=Charts.empty(), config=SCORES_ONLY)
    theirs = Implicit(model)
    exact = [direct(model, wide, request, SCORES_ONLY.length) for request in requests]
    lists = [[(item.track_id, item.score) for item in ours([request])[0]] for request in requests]
    agreeing = [_agree(theirs.top(request), best) for request, best in zip(requests, exact, strict=True)]
    top = partial(top_of, model, Items(model.factor_rows))
    plain = [one for request in requests for one in top([request])]
    p99: dict[str, list[float]] = {"top": [], "list": [], "implicit": []}
    rates: dict[str, list[float]] = {"top": [], "list": []}
    sides = {"top": lambda one: top([one]), "list": lambda one: ours([one]), "implicit": theirs.top}
    for _ in range(repeats):
        times = _in_turn(requests, sides)
        for side, spent in times.items():
            p99[side].append(float(np.quantile(spent, 0.99)))
        batches = [requests[at : at + BATCH] for at in range(0, len(requests) - BATCH + 1, BATCH)]
        one_by_one = len(requests) / sum(times["implicit"])
        for side, work in (("top", top), ("list", ours)):
            spent = [_timed(partial(work, batch))[1] for batch in batches]
            rates[side].append(len(batches) * BATCH / sum(spent) / one_by_one)
    ratios, lists_ratios = (
        [mine / other for mine, other in zip(p99[side], p99["implicit"], strict=True)]
        for side in ("top", "list")
    )
    return {
        "ratio": round(float(np.median(ratios)), 3),
        "low": round(min(ratios), 3),
        "high": round(max(ratios), 3),
        "list_ratio": [round(each, 3) for each in lists_ratios],
        "equal": lists == plain == exact and all(agreeing),
        "equal_lists": sum(mine == best for mine, best in zip(lists, exact, strict=True)),
        "agreeing_lists_of_implicit": sum(agreeing),
        "p99_ms": {side: [round(1000 * each, 3) for each in found] for side, found in p99.items()},
        "batch_of_16": [round(each, 2) for each in rates["top"]],
        "lists_of_16": [round(each, 2) for each in rates["list"]],
        "users": len(requests),
        "items": len(model.track_ids),
        "rank": model.rank,
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in ("numpy", "scipy", "implicit")},
        },
    }


def top_of(model: Model, items: Items, requests: list[Request]) -> list[TopList]:
    """Return the best tracks of some users: folded in as in serving, then by score alone."""
    given = [strengths(request.history) for request in requests]
    starts = np.cumsum([0, *(len(track_ids) for track_ids, _ in given)])
    rows = model.rows(np.concatenate([track_ids for track_ids, _ in given]))
    solved = solve_all(model, rows, np.concatenate([r for _, r in given]), starts)
    factors = np.stack([one.user_factors for one in solved if one is not None])
    best, scores = items.top_n(factors, SCORES_ONLY.length)
    those = zip(model.track_ids[best].tolist(), scores.tolist(), strict=True)
    return [list(zip(track_ids, of_scores, strict=True)) for track_ids, of_scores in those]


class Implicit:
    """implicit's ALS with our item factors.

    Its weights are given, not learned: confidence 1 + alpha * r for positive strengths. It has one
    regularisation for all users; ours depends on the number of positive interactions, so it is set for each.
    """

    def __init__(self, model: Model) -> None:
        try:
            from implicit.cpu.als import AlternatingLeastSquares
        except ImportError as error:
            raise MissingRequirement("implicit is not installed: run `make bench` first") from error
        self._model = model
        self._als = AlternatingLeastSquares(factors=model.rank, alpha=1.0, num_threads=1)
        self._als.item_factors = np.array(model.factor_rows, np.float32)
        self._als.user_factors = np.zeros((1, model.rank), np.float32)

    def top(self, request: Request) -> TopList:
        """Return its list for one user."""
        track_ids, r = strengths(request.history)
        rows = self._model.rows(track_ids)
        confidence = (1.0 + self._model.alpha * r).astype(np.float32)
        shape = (1, len(self._model.track_ids))
        user_items = csr_matrix((confidence, rows, [0, len(rows)]), shape=shape)
        self._als.regularization = self._model.reg_param * int(np.count_nonzero(r > 0))
        ids, scores = self._als.recommend(
            0, user_items, N=SCORES_ONLY.length, filter_already_liked_items=False, recalculate_user=True
        )
        return list(zip(self._model.track_ids[ids].tolist(), scores.tolist(), strict=True))


def _agree(found: TopList, exact: TopList) -> bool:
    """Say whether two lists agree but for what float32 cannot tell apart."""
    close = np.allclose([score for _, score in found], [score for _, score in exact], atol=TOLERANCE, rtol=0)
    by_id = dict(exact)
    lowest = exact[-1][1]
    return close and all(
        abs(score - by_id[track_id]) <= TOLERANCE if track_id in by_id else score <= lowest + TOLERANCE
        for track_id, score in found
    )


def _in_turn(
    requests: list[Request], sides: dict[str, Callable[[Request], object]]
) -> dict[str, list[float]]:
    """Return the seconds of each side for each user; which side begins changes from user to user."""
    spent: dict[str, list[float]] = {side: [] for side in sides}
    for at, request in enumerate(requests):
        for side in sorted(sides, reverse=at % 2 == 1):
            spent[side].append(_timed(partial(sides[side], request))[1])
    return spent


def _inputs(
    random: np.random.Generator, items: int, rank: int, users: int
) -> tuple[Model, Catalogue, list[Request]]:
    track_ids = np.arange(1, items + 1)
    rows = random.normal(scale=rank**-0.5, size=(items, rank)).astype(np.float32)
    ones = np.ones(items, np.float32)
    model = Model.build("bench", track_ids, rows, ones > 0, ones, reg_param=0.1, alpha=10.0)
    catalogue = Catalogue("bench", track_ids, random.integers(1, max(items // 7, 2), items))
    requests = []
    for user in range(users):
        size = int(random.integers(min(10, items), min(200, items) + 1))
        interactions = np.zeros(size, INTERACTION)
        interactions["track_id"] = np.sort(random.choice(track_ids, size, replace=False))
        interactions["listens"] = random.integers(1, 20, size)
        interactions["last_s"] = random.integers(1, 10**6, size)
        history = History.of(interactions, last_event_ms=10**9)
        requests.append(Request(f"{user:032x}", 0, user, history))
    return model, catalogue, requests


def _timed(work: Callable[[], T]) -> tuple[T, float]:
    start = time.perf_counter()
    done = work()
    return done, time.perf_counter() - start
