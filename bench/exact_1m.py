"""Exact top 20 of one user among 1,000,000 items at rank 50: ours beside a product and a partition in NumPy.

``ratio`` is the plain way's median over ours, the median of five repeats. ``equal`` says whether each of ten
lists has the ids and the rounded scores of a float64 product with a full sort. Published: Oryx 2 takes 28 ms
for this size on 32 cores.
"""

import argparse
import time
from importlib.metadata import version
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from recommender.candidates import best
from recommender.model import Model

LENGTH = 20
PUBLISHED_MS = 28.0


def run(arguments: list[str]) -> dict[str, Any]:
    """Measure; ``ours_ms`` holds the percentiles of each repeat."""
    parser = argparse.ArgumentParser(prog="python -m bench exact-1m", description=__doc__)
    parser.add_argument("--items", type=int, default=1_000_000)
    parser.add_argument("--rank", type=int, default=50)
    parser.add_argument("--users", type=int, default=60, help="users in each repeat")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1, help="threads of the BLAS, on both sides")
    options = parser.parse_args(arguments)
    random = np.random.default_rng(1)
    rows = random.normal(scale=options.rank**-0.5, size=(options.items, options.rank)).astype(np.float32)
    ones = np.ones(options.items, np.float32)
    model = Model.build("bench", np.arange(1, options.items + 1), rows, ones > 0, ones, 0.1, 10.0)
    users = random.normal(size=(options.users, options.rank))
    columns = np.ascontiguousarray(rows.T)
    with threadpool_limits(limits=options.threads):
        return _measured(model, columns, users, options)


def _measured(
    model: Model, columns: NDArray[np.float32], users: NDArray[np.float64], options: argparse.Namespace
) -> dict[str, Any]:
    equal = all(_ours(model, user) == _sorted(model, user) for user in users[:10])
    ours: list[dict[str, float]] = []
    ratios = []
    for turn in range(options.repeats):
        spent: dict[str, list[float]] = {"ours": [], "plain": []}
        for at, user in enumerate(users):
            for side in sorted(spent, reverse=(at + turn) % 2 == 1):
                began = time.perf_counter()
                _ours(model, user) if side == "ours" else _plain(columns, user)
                spent[side].append(1000.0 * (time.perf_counter() - began))
        ours.append({name: round(float(np.quantile(spent["ours"], q)), 2) for name, q in _QUANTILES})
        ratios.append(float(np.median(spent["plain"]) / np.median(spent["ours"])))
    middle = float(np.median([one["p50"] for one in ours]))
    return {
        "ratio": round(float(np.median(ratios)), 3),
        "low": round(min(ratios), 3),
        "high": round(max(ratios), 3),
        "equal": equal,
        "ours_ms": ours,
        "p50_ms": middle,
        "p99_ms": float(np.median([one["p99"] for one in ours])),
        "published_over_ours": round(PUBLISHED_MS / middle, 2),
        "threads": options.threads,
        "items": options.items,
        "rank": options.rank,
        "versions": {name: version(name) for name in ("numpy", "scipy")},
    }


_QUANTILES = (("p50", 0.5), ("p99", 0.99))


def _ours(model: Model, user: NDArray[np.float64]) -> list[tuple[int, float]]:
    rows, scores = best(model, user, LENGTH, np.empty(0, np.int64))
    return list(zip(rows.tolist(), scores.tolist(), strict=True))


def _plain(columns: NDArray[np.float32], user: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the best items by a float32 product and a partition: not exact at the edge."""
    scores = user.astype(np.float32) @ columns
    top = np.argpartition(-scores, LENGTH)[:LENGTH]
    return top[np.argsort(-scores[top])]


def _sorted(model: Model, user: NDArray[np.float64]) -> list[tuple[int, float]]:
    scores = np.round(model.factor_rows.astype(np.float64) @ user, 6)
    order = np.lexsort((np.arange(len(scores)), -scores))[:LENGTH]
    return list(zip(order.tolist(), scores[order].tolist(), strict=True))
