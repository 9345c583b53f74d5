"""Spark's implicit ALS."""

import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pyspark.ml.evaluation import RegressionEvaluator
from pyspark.ml.recommendation import ALS, ALSModel
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from training.configuration import TrainingConfig


@dataclass(frozen=True)
class Fit:
    """Item factors as fitted.

    Attributes
    ----------
    items : int64 [n], ascending dense item ids that had an interaction
    rows : float32 [n, rank]
    rank : factors used
    fit_s : seconds that Spark took
    """

    items: NDArray[np.int64]
    rows: NDArray[np.float32]
    rank: int
    fit_s: float
    spark_model: ALSModel


def fit(ratings: DataFrame, config: TrainingConfig, rank: int) -> Fit:
    """Fit implicit ALS on (user int, item int, rating float)."""
    als = ALS(
        userCol="user",
        itemCol="item",
        ratingCol="rating",
        implicitPrefs=True,
        rank=rank,
        regParam=config.reg_param,
        alpha=config.alpha,
        maxIter=config.max_iter,
        seed=config.seed,
        numUserBlocks=config.blocks,
        numItemBlocks=config.blocks,
        nonnegative=False,
        checkpointInterval=config.checkpoint_interval,
        coldStartStrategy="drop",
    )
    began = time.monotonic()
    model = als.fit(ratings)
    table = model.itemFactors.toArrow().sort_by("id")
    seconds = time.monotonic() - began
    column = table["features"].combine_chunks()
    rows = column.flatten().to_numpy().astype(np.float32).reshape(len(column), rank)
    return Fit(table["id"].to_numpy().astype(np.int64), rows, rank, seconds, model)


def held_out_rmse(fitted: Fit, held_out: DataFrame) -> float | None:
    """Return Spark's RMSE of the predicted preference against 1 on held-out positive interactions.

    Reported because the product was asked for it; it says nothing about the order of a list. None when no
    held-out pair is known to the model.
    """
    predictions = fitted.spark_model.transform(held_out.withColumn("preference", F.lit(1.0)))
    if predictions.isEmpty():
        return None  # Spark's evaluator refuses to look at nothing
    evaluator = RegressionEvaluator(metricName="rmse", labelCol="preference", predictionCol="prediction")
    value = float(evaluator.evaluate(predictions))
    return value if np.isfinite(value) else None
