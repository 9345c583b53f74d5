"""Audio features of the catalogue in Spark: read by the MongoDB connector, assembled and standardised.

The identity of a training is made of the vectors as Motor reads them before Spark starts. What the connector
reads is compared with it, so a model is of the inputs that its ``training_id`` names, or there is none.
"""

import json
import re
from collections.abc import Iterator
from functools import partial

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from py4j.protocol import Py4JJavaError  # type: ignore[import-untyped]
from pyspark.errors import PySparkException
from pyspark.ml import Pipeline
from pyspark.ml.feature import StandardScaler, VectorAssembler
from pyspark.ml.functions import array_to_vector, vector_to_array
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from connections.feature_store import StoredVectors, VectorDigest
from schemas.documents import FEATURES
from schemas.errors import Unavailable
from schemas.settings import Settings
from training.placement import NO_FEATURES, Features

_BLOCK_BYTES = 32 * 2**20
_OUTAGE = re.compile(r"com\.mongodb\.Mongo(Timeout|Socket|NodeIsRecovering|NotPrimary)\w*Exception")
_SCHEMA = "_id long, version string, raw array<double>"


def _vectors(spark: SparkSession, settings: Settings, stored: StoredVectors) -> DataFrame:
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
        MongoDB did not answer, or the catalogue was changed while it was read.
    """
    if stored is None:
        return NO_FEATURES
    try:
        return _read(_vectors(spark, settings, stored), stored)
    except (PySparkException, Py4JJavaError) as error:
        if _OUTAGE.search(str(error)) is None:
            raise
        raise Unavailable("MongoDB did not answer while Spark read the audio features") from error


def _read(vectors: DataFrame, stored: StoredVectors) -> Features:
    work = partial(digested, version=stored.version, width=stored.width)
    found = vectors.mapInArrow(work, "digest string, finite long").first()
    if found is None or found["digest"] != stored.digest:
        raise Unavailable("the audio features were changed while they were read: train again")
    if found["finite"] == 0:
        return NO_FEATURES
    # what comes from one partition lies in the virtual machine as a whole: no partition may be large
    blocks = 1 + found["finite"] * stored.width * 8 // _BLOCK_BYTES
    scaled = standardised(vectors).repartitionByRange(blocks, "_id").toArrow().sort_by("_id")
    vectors.unpersist()
    rows = scaled["scaled"].combine_chunks()
    return Features(scaled["_id"].to_numpy().astype(np.int64), _matrix(rows, stored.width))


def digested(batches: Iterator[pa.RecordBatch], version: str, width: int) -> Iterator[pa.RecordBatch]:
    """Yield one row, digest and number of finite vectors, for batches (_id, raw) by ascending id."""
    digest, finite = VectorDigest(version), 0
    for batch in batches:
        raw = _matrix(batch["raw"], width)
        digest.add(batch["_id"].to_numpy().astype(np.int64), raw)
        finite += int(np.isfinite(raw).all(axis=1).sum())
    yield pa.RecordBatch.from_arrays(
        [pa.array([digest.name()]), pa.array([finite], pa.int64())], names=["digest", "finite"]
    )


def _matrix(rows: pa.ListArray, width: int) -> NDArray[np.float64]:
    return np.asarray(rows.flatten().to_numpy(), np.float64).reshape(-1, width)
