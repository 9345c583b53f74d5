"""Audio features through the MongoDB connector, VectorAssembler and StandardScaler, on a real mongod."""

import numpy as np
import pyarrow as pa
import pytest
from pyspark.sql import SparkSession

from connections.documents import open_documents
from connections.feature_store import StoredVectors, VectorDigest, stored_vectors
from schemas.errors import Unavailable
from schemas.settings import Settings
from stack.ports import free_ports
from training.catalogue import catalogue_features, digested

RAW = np.random.default_rng(4).normal(loc=[5.0, -3.0, 100.0], scale=[1.0, 0.01, 30.0], size=(40, 3))


async def store(settings: Settings, raw: np.ndarray, version: str = "v1", first: int = 2**40) -> None:
    async with open_documents(settings) as database:
        await database["features"].insert_many(
            [
                {"_id": first + number, "version": version, "raw": row.tolist()}
                for number, row in enumerate(raw)
            ]
        )


async def test_what_the_connector_reads_is_standardised_per_feature(
    settings: Settings, spark: SparkSession
) -> None:
    await store(settings, RAW)
    await store(settings, RAW[:5, :2], version="v0", first=1)
    async with open_documents(settings) as database:
        stored = await stored_vectors(database)
    assert stored is not None
    assert (stored.version, stored.width, stored.count) == ("v1", 3, 40)
    features = catalogue_features(spark, settings, stored)
    assert features.track_ids.tolist() == list(range(2**40, 2**40 + 40))
    expected = (RAW - RAW.mean(axis=0)) / RAW.std(axis=0, ddof=1)
    np.testing.assert_allclose(features.scaled, expected, rtol=1e-9)
    again = catalogue_features(spark, settings, stored)
    assert again.scaled.tobytes() == features.scaled.tobytes()


async def test_a_vector_that_is_not_finite_is_left_out_and_a_feature_that_never_varies_is_zero(
    settings: Settings, spark: SparkSession
) -> None:
    raw = np.column_stack((RAW[:10, :2], np.full(10, 7.0)))
    raw[3, 0], raw[4, 1] = np.nan, np.inf
    await store(settings, raw, first=1)
    async with open_documents(settings) as database:
        stored = await stored_vectors(database)
    features = catalogue_features(spark, settings, stored)
    assert features.track_ids.tolist() == [1, 2, 3, 6, 7, 8, 9, 10]
    assert (features.scaled[:, 2] == 0.0).all()
    assert np.isfinite(features.scaled).all()


async def test_features_that_change_while_they_are_read_make_no_model(
    settings: Settings, spark: SparkSession
) -> None:
    await store(settings, RAW[:10], first=1)
    async with open_documents(settings) as database:
        stored = await stored_vectors(database)
        await database["features"].update_one({"_id": 4}, {"$set": {"raw": [1.0, 2.0, 3.0]}})
    with pytest.raises(Unavailable, match="were changed while they were read"):
        catalogue_features(spark, settings, stored)


async def test_vectors_of_which_none_is_finite_are_no_features(
    settings: Settings, spark: SparkSession
) -> None:
    await store(settings, np.full((3, 2), np.nan), first=1)
    async with open_documents(settings) as database:
        stored = await stored_vectors(database)
    assert catalogue_features(spark, settings, stored).scaled.shape == (0, 0)


def test_a_mongodb_that_is_away_is_an_outage_and_no_refusal(settings: Settings, spark: SparkSession) -> None:
    [port] = free_ports(1)
    away = settings.model_copy(
        update={"mongodb_url": f"mongodb://127.0.0.1:{port}/?serverSelectionTimeoutMS=1000"}
    )
    with pytest.raises(Unavailable, match="did not answer while Spark read"):
        catalogue_features(spark, away, StoredVectors("v1", 3, 40, "0" * 64))


def test_the_digest_in_spark_is_that_of_the_store_however_batches_are_cut() -> None:
    ids = np.arange(40)
    whole = VectorDigest("v1")
    whole.add(ids, RAW)
    table = pa.table({"_id": ids, "raw": pa.array(RAW.tolist())})
    [found] = digested(iter(table.to_batches(max_chunksize=7)), "v1", 3)
    assert found.to_pylist() == [{"digest": whole.name(), "finite": 40}]


async def test_without_features_there_are_none(settings: Settings, spark: SparkSession) -> None:
    async with open_documents(settings) as database:
        assert await stored_vectors(database) is None
    assert catalogue_features(spark, settings, None).scaled.shape == (0, 0)


def test_the_digest_does_not_depend_on_how_vectors_are_cut_into_blocks() -> None:
    ids = np.arange(40)
    whole, halves = VectorDigest("v1"), VectorDigest("v1")
    whole.add(ids, RAW)
    for block in (slice(0, 7), slice(7, 40)):
        halves.add(ids[block], RAW[block])
    assert whole.name() == halves.name()
    other = VectorDigest("v1")
    other.add(ids[::-1], RAW)
    assert other.name() != whole.name()
