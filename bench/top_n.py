"""Top 20 for everybody: Spark's ``recommendForAllUsers`` over our step of blocked products, same factors.

``ratio`` is the time of ``recommendForAllUsers(20)`` at its default block size over ours, ``best_block`` the
same at the block size that a sweep finds fastest (both higher is better); medians of the repeats, in which
the sides take turns. Both run in one Spark session, on as many cores, from the user factors of one fitted
model to lists that are computed and thrown away; ours has one BLAS thread in each task. ``equal`` says
whether every list of ours has the items and rounded scores of a float64 product with a full sort
(``--checked`` users), and whether all of Spark's agree with ours but for ties as close as float32 tells.
``peak_share``: floating-point operations of the products by our time, over a large SGEMM on all cores.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark.ml.recommendation import ALS, ALSModel
from pyspark.sql import DataFrame, SparkSession
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from bench._plays import synthetic_plays
from connections.spark import open_session
from schemas.settings import Settings
from training.top_n import top_n_of_all

LENGTH = 20
DEFAULT_BLOCK = 4096
BLOCKS = (64, 128, 256, 512, 1024)
TOLERANCE = 1e-5


def run(arguments: list[str]) -> dict[str, Any]:
    """Fit one model, then measure; return ratios, spread, equality and seconds."""
    parser = argparse.ArgumentParser(prog="python -m bench top-n", description=__doc__)
    parser.add_argument("--users", type=int, default=20_000)
    parser.add_argument("--items", type=int, default=20_000)
    parser.add_argument("--rank", type=int, default=64)
    parser.add_argument("--plays", type=int, default=400_000, help="of the model that is fitted first")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--checked", type=int, default=500, help="users whose lists are sorted in full")
    parser.add_argument("--blocks", type=int, nargs="+", default=BLOCKS, help="block sizes of the sweep")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="segue-bench-") as folder:
        settings = Settings(data_dir=Path(folder), spark_master=f"local[{options.cores}]", spark_memory="4g")
        # Spark's own defaults, but for what every program of ours shares
        with open_session(settings, "bench", {}, log=Path(folder) / "spark.log") as spark:
            return _measured(spark, _fitted(spark, options), options)


def _fitted(spark: SparkSession, options: argparse.Namespace) -> ALSModel:
    plays = synthetic_plays(options.users, options.items, options.plays, options.seed)
    als = ALS(implicitPrefs=True, rank=options.rank, maxIter=2, alpha=10.0, regParam=0.05, seed=options.seed)
    als.setUserCol("user").setItemCol("item").setRatingCol("rating")
    return als.fit(spark.createDataFrame(plays))


def _measured(spark: SparkSession, model: ALSModel, options: argparse.Namespace) -> dict[str, Any]:
    users = model.userFactors.cache()
    item_ids, rows = _factors(model.itemFactors.cache(), options.rank)
    user_ids, wide = _factors(users, options.rank)
    ours = partial(top_n_of_all, users, item_ids, rows, LENGTH)
    theirs = partial(_theirs, model)
    mine = ours().toArrow().sort_by("id")
    equal = _exact(mine, user_ids, wide, item_ids, rows, options.checked)
    agreeing = _agreeing(mine, theirs(DEFAULT_BLOCK).toArrow().sort_by("id"), user_ids, wide, item_ids, rows)
    sweep = {block: _timed(partial(theirs, block)) for block in options.blocks}
    best = min(sweep, key=lambda block: sweep[block])
    sides: dict[str, Callable[[], DataFrame]] = {
        "default": partial(theirs, DEFAULT_BLOCK),
        "ours": ours,
        "best": partial(theirs, best),
    }
    spent: dict[str, list[float]] = {side: [] for side in sides}
    for turn in range(options.repeats):
        for side in sorted(sides, reverse=turn % 2 == 1):
            spent[side].append(_timed(sides[side]))
    ratios = [theirs_s / ours_s for theirs_s, ours_s in zip(spent["default"], spent["ours"], strict=True)]
    best_ratios = [theirs_s / ours_s for theirs_s, ours_s in zip(spent["best"], spent["ours"], strict=True)]
    flops = 2.0 * len(user_ids) * len(item_ids) * options.rank / float(np.median(spent["ours"]))
    return {
        "ratio": round(float(np.median(ratios)), 2),
        "low": round(min(ratios), 2),
        "high": round(max(ratios), 2),
        "equal": bool(equal and agreeing == len(user_ids)),
        "agreeing_lists_of_spark": agreeing,
        "best_block": {
            "size": best,
            "ratio": round(float(np.median(best_ratios)), 2),
            "low": round(min(best_ratios), 2),
            "high": round(max(best_ratios), 2),
        },
        "sweep_s": {block: round(seconds, 2) for block, seconds in sweep.items()},
        "seconds": {side: [round(one, 3) for one in times] for side, times in spent.items()},
        "peak_share": round(flops / _peak(options.cores), 3),
        "users": len(user_ids),
        "items": len(item_ids),
        "rank": options.rank,
        "versions": {name: version(name) for name in ("pyspark", "numpy", "pyarrow")},
    }


def _factors(table: DataFrame, rank: int) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Return ids, ascending, and factors float32 [n, rank]."""
    found = table.toArrow().sort_by("id")
    features = found["features"].combine_chunks().flatten().to_numpy()
    return found["id"].to_numpy(), features.astype(np.float32).reshape(-1, rank)


def _theirs(model: ALSModel, block: int) -> DataFrame:
    model.setBlockSize(block)
    return model.recommendForAllUsers(LENGTH).withColumnRenamed("user", "id")


def _timed(side: Callable[[], DataFrame]) -> float:
    """Return the seconds that it takes to compute all lists and throw them away."""
    began = time.perf_counter()
    side().write.format("noop").mode("overwrite").save()
    return time.perf_counter() - began


def _exact(
    mine: pa.Table,
    user_ids: NDArray[np.int32],
    users: NDArray[np.float32],
    item_ids: NDArray[np.int32],
    rows: NDArray[np.float32],
    checked: int,
) -> bool:
    """Say whether lists of ours are those of a float64 product, all of it sorted."""
    if not np.array_equal(mine["id"].to_numpy(), user_ids):
        return False
    wide, lists, scores = rows.T.astype(np.float64), _matrix(mine["items"]), _matrix(mine["scores"])
    for user in range(0, len(user_ids), max(1, len(user_ids) // checked)):
        exact = np.round(users[user].astype(np.float64) @ wide, 6) + 0.0
        order = np.argsort(-exact, kind="stable")[:LENGTH]
        if not (np.array_equal(lists[user], item_ids[order]) and np.array_equal(scores[user], exact[order])):
            return False
    return True


def _agreeing(
    mine: pa.Table,
    theirs: pa.Table,
    user_ids: NDArray[np.int32],
    users: NDArray[np.float32],
    item_ids: NDArray[np.int32],
    rows: NDArray[np.float32],
) -> int:
    """Return how many lists of Spark's agree with ours but for ties within the precision of float32.

    Place by place the scores are equal within the tolerance, and so are Spark's scores and the exact ones of
    the items that it names.
    """
    if not np.array_equal(theirs["id"].to_numpy(), user_ids):
        return 0
    pairs = theirs["recommendations"].combine_chunks().flatten()
    named = pairs.field("item").to_numpy().reshape(-1, LENGTH)
    scores = pairs.field("rating").to_numpy().reshape(-1, LENGTH)
    exact = np.einsum("umk,uk->um", rows[np.searchsorted(item_ids, named)], users, dtype=np.float64)
    close = (np.abs(scores - exact) <= TOLERANCE) & (np.abs(scores - _matrix(mine["scores"])) <= TOLERANCE)
    distinct = np.array([len(set(one)) == LENGTH for one in named.tolist()])
    return int((close.all(axis=1) & distinct).sum())


def _matrix(lists: pa.ChunkedArray) -> NDArray[Any]:
    flat: NDArray[Any] = lists.combine_chunks().flatten().to_numpy()
    return flat.reshape(-1, LENGTH)


def _peak(cores: int) -> float:
    """Return the floating-point operations a second of a large product on as many cores."""
    size = 4096
    one = np.ones((size, size), np.float32)
    times = []
    with threadpool_limits(limits=min(cores, os.cpu_count() or 1)):
        for _ in range(3):
            began = time.perf_counter()
            one @ one
            times.append(time.perf_counter() - began)
    return float(2.0 * size**3 / min(times))
