"""A process with a Spark of its own, which fits when it is told to: one side of a comparison of fits."""

import argparse
import multiprocessing
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pyspark import SparkContext
from pyspark.ml.recommendation import ALS, ALSModel
from pyspark.sql import DataFrame

from connections.spark import open_session
from schemas.settings import Settings
from training.configuration import TrainingConfig
from training.fit import fit
from training.session import spark_session

Factors = tuple[NDArray[np.float32], NDArray[np.float32]]
_END_S = 30.0


class Side:
    """The process, from outside."""

    def __init__(self, told: Connection) -> None:
        self._told = told

    def fit(self) -> tuple[float, float]:
        """Have it fit; return seconds, and seconds of its virtual machine's processor time."""
        spent: tuple[float, float] = self._ask("fit")
        return spent

    def factors(self) -> Factors:
        """Return the last factors of users and items, by dense id."""
        found: Factors = self._ask("factors")
        return found

    def _ask(self, what: str) -> Any:
        self._told.send(what)
        return self._told.recv()


def fit_parser(name: str, about: str | None) -> argparse.ArgumentParser:
    """Return a parser of the options that all comparisons of fits have: which plays, which fit."""
    parser = argparse.ArgumentParser(prog=f"python -m bench {name}", description=about)
    parser.add_argument("--users", type=int, default=20_000)
    parser.add_argument("--items", type=int, default=20_000)
    parser.add_argument("--plays", type=int, default=760_000)
    parser.add_argument("--rank", type=int, default=64)
    parser.add_argument("--max-iter", type=int, default=10)
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    return parser


@contextmanager
def side(
    name: str,
    settings: Settings,
    config: TrainingConfig,
    plays: Path,
    environment: Mapping[str, str] | None = None,
) -> Iterator[Side]:
    """Yield a side, "spark" (its defaults) or another name (ours).

    Parameters
    ----------
    plays : a Parquet file of user, item and rating
    environment : variables of the process beside those of this one
    """
    spawn = multiprocessing.get_context("spawn")
    here, there = spawn.Pipe()
    process = spawn.Process(
        target=_serve, args=(there, name, settings, config, plays, dict(environment or {})), daemon=True
    )
    process.start()
    there.close()
    try:
        yield Side(here)
    finally:
        here.close()
        process.join(_END_S)
        if process.is_alive():
            process.kill()


def _serve(
    told: Connection,
    name: str,
    settings: Settings,
    config: TrainingConfig,
    plays: Path,
    environment: Mapping[str, str],
) -> None:
    os.environ.update(environment)
    ours = name != "spark"
    session = spark_session(settings, blocks=config.blocks) if ours else open_session(settings, "bench", {})
    with session as spark:
        ratings = spark.createDataFrame(pq.read_table(plays)).repartition(config.blocks).cache()
        ratings.count()
        while True:
            try:
                asked = told.recv()
            except EOFError:
                return
            if asked == "fit":
                model, *spent = _timed(lambda: _ours(ratings, config) if ours else _defaults(ratings, config))
                told.send(tuple(spent))
            else:
                told.send(_factors(model, config.rank))


def _ours(ratings: DataFrame, config: TrainingConfig) -> ALSModel:
    return fit(ratings, config, config.rank).spark_model


def _defaults(ratings: DataFrame, config: TrainingConfig) -> ALSModel:
    als = ALS(
        userCol="user",
        itemCol="item",
        ratingCol="rating",
        implicitPrefs=True,
        rank=config.rank,
        regParam=config.reg_param,
        alpha=config.alpha,
        maxIter=config.max_iter,
        seed=config.seed,
    )
    model = als.fit(ratings)
    model.itemFactors.toArrow()
    return model


def _timed(work: Callable[[], ALSModel]) -> tuple[ALSModel, float, float]:
    """Return the model, seconds, and seconds of the virtual machine's processor time."""
    gateway: Any = SparkContext._gateway
    machine = psutil.Process(gateway.proc.pid)
    before, began = machine.cpu_times(), time.perf_counter()
    model = work()
    after, seconds = machine.cpu_times(), time.perf_counter() - began
    return model, seconds, after.user + after.system - before.user - before.system


def _factors(model: ALSModel, rank: int) -> Factors:
    """Return the factors of users and items by their dense ids; zero where the model has none."""
    both = []
    for table in (model.userFactors.toArrow(), model.itemFactors.toArrow()):
        ids = table["id"].to_numpy()
        rows = np.zeros((ids.max() + 1, rank), np.float32)
        rows[ids] = table["features"].combine_chunks().flatten().to_numpy().reshape(-1, rank)
        both.append(rows)
    return both[0], both[1]
