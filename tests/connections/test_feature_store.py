"""Readers see features of one definition, scaled by one standardisation, at any moment."""

import numpy as np
import pytest

from connections.documents import Database, open_documents
from connections.feature_store import raw_vectors, scaled_features, versions_stored
from etl import normalise
from schemas.settings import Settings

HERE, TABLE = "mfcc-v1", "precomputed-v1"


async def _write(database: Database, version: str, first: int, count: int, *, fitted: bool = True) -> None:
    raw = np.random.default_rng(first).normal(size=(count, 2))
    if fitted:
        await normalise.store(database, normalise.fit(version, raw))
    await database["features"].insert_many(
        {"_id": first + n, "version": version, "raw": vector} for n, vector in enumerate(raw.tolist())
    )


async def test_nothing_stored_is_nothing(settings: Settings) -> None:
    async with open_documents(settings) as database:
        ids, scaled = await scaled_features(database)
    assert (ids.shape, scaled.shape) == ((0,), (0, 0))


@pytest.mark.parametrize(
    ("here", "table", "used"),
    [(5, 4, HERE), (4, 5, TABLE), (5, 5, HERE)],
)
async def test_the_definition_of_most_tracks_is_used_and_in_a_tie_the_one_made_here(
    settings: Settings, here: int, table: int, used: str
) -> None:
    async with open_documents(settings) as database:
        await _write(database, TABLE, 1, table)
        await _write(database, HERE, 101, here)
        assert next(iter(await versions_stored(database))) == used
        ids, scaled = await scaled_features(database)
    assert len(ids) == max(here, table)
    assert (ids > 100).all() == (used == HERE)
    np.testing.assert_allclose(scaled.mean(axis=0), 0, atol=1e-12)


async def test_a_definition_without_a_standardisation_is_not_used_yet(settings: Settings) -> None:
    async with open_documents(settings) as database:
        await _write(database, HERE, 1, 9, fitted=False)
        assert len((await scaled_features(database))[0]) == 0
        await _write(database, TABLE, 101, 4)
        assert len((await scaled_features(database))[0]) == 4


async def test_stored_scaled_vectors_are_not_trusted_and_vectors_that_do_not_fit_are_left_out(
    settings: Settings,
) -> None:
    async with open_documents(settings) as database:
        await _write(database, HERE, 1, 6)
        before = await scaled_features(database)
        await database["features"].update_many({"_id": {"$lte": 3}}, {"$set": {"scaled": [9.0, 9.0]}})
        await database["features"].insert_many(
            [
                {"_id": 50, "version": HERE, "raw": [1.0]},
                {"_id": 51, "version": HERE, "raw": [float("nan"), 1.0]},
            ]
        )
        after = await scaled_features(database)
    np.testing.assert_array_equal(before[0], after[0])
    np.testing.assert_array_equal(before[1], after[1])


async def test_all_vectors_come_in_order_however_many_there_are(settings: Settings) -> None:
    async with open_documents(settings) as database:
        await _write(database, HERE, 1, 2_001)
        ids = np.concatenate([ids async for ids, _ in raw_vectors(database, HERE)])
    np.testing.assert_array_equal(ids, np.arange(1, 2_002))
