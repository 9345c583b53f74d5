"""Audio features of the catalogue in Spark: read by the MongoDB connector, assembled and standardised.

The identity of a training is made of the vectors as Motor reads them before Spark starts. What the connector
reads is compared with it, so a model is of the inputs that its ``training_id`` names, or there is none.
"""

import json

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark.ml import Pipeline
from pyspark.ml.feature import StandardScaler, VectorAssembler
from pyspark.ml.functions import array_to_vector, vector_to_array
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from connections.feature_store import StoredVectors, VectorDigest
from schemas.documents import FEATURES
from schemas.errors import Unavailable
from schemas.settings import Settings
from training.placement import Features

_SCHEMA = "_id long, version string, raw array<double>"


def stored_vectors(spark: SparkSession, settings: Settings, stored: StoredVectors) -> DataFrame:
    """Return (_id long, raw array<double>) of one definition, ordered, in one partition.

    One partition, because sums of floating point numbers depend on their order, and equal inputs are to give
    equal bits.
    """
    reader = spark.read.format("mongodb").schema(_SCHEMA)
    options = {
        "connection.uri": settings.mongodb_address,
        "database": settings.mongodb_database,
        "collection": FEATURES.name,
        "aggregation.pipeline": json.dumps([{"$match": {"version": stored.version}}]),
    }
    found = reader.options(**options).load()
    same = found.where((F.col("version") == stored.version) & (F.size("raw") == stored.width))
    return same.select("_id", "raw").coalesce(1).sortWithinPartitions("_id").persist()


def standardised(vectors: DataFrame) -> DataFrame:
    """Return (_id long, scaled array<double>): mean 0 and variance 1 per feature over the finite vectors.

    A feature that never varies becomes 0.
    """
    infinite = float("inf")
    finite = vectors.where(F.forall("raw", lambda x: ~F.isnan(x) & (F.abs(x) < infinite)))
    assembler = VectorAssembler(inputCols=["audio"], outputCol="assembled", handleInvalid="error")
    scaler = StandardScaler(inputCol="assembled", outputCol="standard", withMean=True, withStd=True)
    given = finite.withColumn("audio", array_to_vector(F.col("raw")))
    model = Pipeline(stages=[assembler, scaler]).fit(given)
    return model.transform(given).select("_id", vector_to_array(F.col("standard")).alias("scaled"))


def catalogue_features(spark: SparkSession, settings: Settings, stored: StoredVectors | None) -> Features:
    """Return the standardised features of the catalogue; empty where none are stored.

    Raises
    ------
    Unavailable
        The catalogue was changed while it was read.
    """
    if stored is None:
        return Features(np.empty(0, np.int64), np.empty((0, 0)))
    vectors = stored_vectors(spark, settings, stored)
    raw = vectors.toArrow()
    digest = VectorDigest(stored.version)
    digest.add(raw["_id"].to_numpy().astype(np.int64), _matrix(raw["raw"], stored.width))
    if digest.name() != stored.digest:
        raise Unavailable("the audio features were changed while they were read: train again")
    scaled = standardised(vectors).toArrow().sort_by("_id")
    vectors.unpersist()
    return Features(scaled["_id"].to_numpy().astype(np.int64), _matrix(scaled["scaled"], stored.width))


def _matrix(column: pa.ChunkedArray, width: int) -> NDArray[np.float64]:
    values = column.combine_chunks().flatten().to_numpy()
    return np.asarray(values, np.float64).reshape(-1, width)
