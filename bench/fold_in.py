"""Fold-in and top 20 of one user: ours beside a direct float64 solve with a full sort, on the same inputs.

Both sides run on one BLAS thread, in turn, user by user; lists must be equal: ids and rounded scores.
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
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from recommender.encoding import INTERACTION, History
from recommender.metrics import bootstrap
from recommender.model import Model
from recommender.ranking import Catalogue, Charts, RankingConfig, Request, recommend
from recommender.strength import strengths

BATCHES = (1, 16, 64)
SCORES_ONLY = RankingConfig(
    artist_cap=10**6, discovery_share=0.0, known_share=1.0, fair_score=-1e9, recent_tracks=0
)
"""Rules under which a list is the plain top 20 of the scores."""

T = TypeVar("T")
TopList = list[tuple[int, float]]


def run(arguments: list[str]) -> dict[str, Any]:
    """Measure and return ratio, interval, equality, and milliseconds per user.

    ``ratio`` is the time of the direct way over ours with the default rules switched off, user by user.
    """
    parser = argparse.ArgumentParser(prog="python -m bench fold-in", description=__doc__)
    parser.add_argument("--items", type=int, default=100_000, help="tracks in model and catalogue")
    parser.add_argument("--rank", type=int, default=64, help="factors")
    parser.add_argument("--users", type=int, default=200, help="users, each with 10 to 200 interactions")
    parser.add_argument("--seed", type=int, default=1, help="seed of factors and histories")
    options = parser.parse_args(arguments)
    random = np.random.default_rng(options.seed)
    model, catalogue, requests = _inputs(random, options.items, options.rank, options.users)
    with threadpool_limits(limits=1):
        return {"name": "fold-in", **_measured(model, catalogue, requests, options.seed)}


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


def _measured(model: Model, catalogue: Catalogue, requests: list[Request], seed: int) -> dict[str, Any]:
    wide = model.factor_rows.astype(np.float64)
    charts = Charts.empty()
    recommend(requests[:1], model, catalogue, charts, SCORES_ONLY)  # builds the indexes
    ratios, theirs_ms, equal = [], [], 0
    for request in requests:
        ours, seconds = _timed(partial(recommend, [request], model, catalogue, charts, SCORES_ONLY))
        theirs, direct_seconds = _timed(partial(direct, model, wide, request, SCORES_ONLY.length))
        equal += [(item.track_id, item.score) for item in ours[0]] == theirs
        ratios.append(direct_seconds / seconds)
        theirs_ms.append(1000.0 * direct_seconds)
    interval = bootstrap(ratios, seed=seed)
    return {
        "ratio": round(interval.mean, 3),
        "low": round(interval.low, 3),
        "high": round(interval.high, 3),
        "equal": equal == len(requests),
        "equal_lists": equal,
        "users": len(requests),
        "items": len(model.track_ids),
        "rank": model.rank,
        "direct_ms": _quantiles(theirs_ms),
        "ours_ms_by_batch": {
            str(size): _quantiles(_by_batch(model, catalogue, requests, size)) for size in BATCHES
        },
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in ("numpy", "scipy")},
        },
    }


def _by_batch(model: Model, catalogue: Catalogue, requests: list[Request], size: int) -> list[float]:
    """Return milliseconds per user, batch by batch, with the default rules and with reasons."""
    config, charts = RankingConfig(), Charts.empty()
    found = []
    for start in range(0, len(requests) - size + 1, size):
        block = requests[start : start + size]
        _, seconds = _timed(partial(recommend, block, model, catalogue, charts, config))
        found.append(1000.0 * seconds / size)
    return found


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


def _quantiles(values: list[float]) -> dict[str, float]:
    return {name: round(float(np.quantile(values, q)), 3) for name, q in (("p50", 0.5), ("p99", 0.99))}
