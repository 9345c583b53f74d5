"""Standardisation: fitted once, stored under its hash, used again; a refit is the next revision."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from connections.documents import Database, ensure_indexes, open_documents
from connections.feature_store import newest_scaler, scaled_features
from etl import normalise
from schemas.errors import DocumentsUnavailable, InvalidInput
from schemas.settings import Settings

TRACKS, WIDTH = 2_300, 3


@given(arrays(np.float64, (12, 3), elements=st.floats(-1e6, 1e6)))
def test_scaled_features_have_mean_zero_and_deviation_one_or_zero(raw: np.ndarray) -> None:
    scaled = normalise.fit("v", raw).apply(raw)
    assert np.isfinite(scaled).all()
    np.testing.assert_allclose(scaled.mean(axis=0), 0, atol=1e-4)
    deviation = scaled.std(axis=0)
    assert (np.isclose(deviation, 1, atol=1e-6) | (np.abs(scaled).max(axis=0) < 1e-2)).all()


@given(
    arrays(np.float64, (24, 2), elements=st.floats(-1e4, 1e4)),
    st.lists(st.integers(0, 24), max_size=5),
)
def test_blocks_give_the_moments_of_the_whole(raw: np.ndarray, cuts: list[int]) -> None:
    moments = normalise.Moments()
    for block in np.split(raw, sorted(cuts)):
        moments.add(block)
    assert moments.count == len(raw)
    np.testing.assert_allclose(moments.mean, raw.mean(axis=0), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(moments.squares / moments.count, raw.var(axis=0), rtol=1e-7, atol=1e-7)


def test_a_feature_that_never_varies_is_not_divided_by_zero() -> None:
    scaler = normalise.fit("v", np.full((4, 2), 0.1))
    assert scaler.scale.tolist() == [1.0, 1.0]
    np.testing.assert_allclose(scaler.apply(np.full(2, 0.1)), 0, atol=1e-12)


def test_equal_content_has_an_equal_id_and_other_content_another() -> None:
    raw = np.random.default_rng(1).normal(size=(5, 2))
    ids = [
        normalise.fit("v", raw).scaler_id,
        normalise.fit("w", raw).scaler_id,
        normalise.fit("v", raw + 1).scaler_id,
        normalise.fit("v", raw, revision=2).scaler_id,
    ]
    assert len(set(ids)) == 4
    assert normalise.fit("v", raw.copy()).scaler_id == ids[0]


@pytest.mark.parametrize("raw", [np.zeros((0, 2)), np.array([[1.0, np.nan]])])
def test_nothing_and_nan_cannot_be_fitted(raw: np.ndarray) -> None:
    with pytest.raises(InvalidInput):
        normalise.fit("v", raw)


def test_vectors_of_different_lengths_cannot_be_fitted_together() -> None:
    moments = normalise.Moments()
    moments.add(np.ones((2, 3)))
    with pytest.raises(InvalidInput, match="has 2 numbers, others 3"):
        moments.add(np.ones((2, 2)))


async def test_the_stored_scaler_comes_back_exactly_and_a_spoilt_one_is_refused(settings: Settings) -> None:
    scaler = normalise.fit("v", np.random.default_rng(2).normal(size=(7, 4)))
    async with open_documents(settings) as database:
        assert await newest_scaler(database, "v") is None
        await normalise.store(database, scaler)
        await normalise.store(database, scaler)
        found = await newest_scaler(database, "v")
        assert found is not None
        assert found.scaler_id == scaler.scaler_id
        np.testing.assert_array_equal(found.mean, scaler.mean)
        await database["scalers"].update_one({}, {"$set": {"count": 8}})
        with pytest.raises(InvalidInput, match="does not match"):
            await newest_scaler(database, "v")


async def test_of_two_programs_that_fit_at_once_the_first_wins(settings: Settings) -> None:
    first, second = (normalise.fit("v", np.full((2, 1), value)) for value in (1.0, 2.0))
    async with open_documents(settings) as database:
        await ensure_indexes(database)
        assert (await normalise.store(database, first)).scaler_id == first.scaler_id
        assert (await normalise.store(database, second)).scaler_id == first.scaler_id


async def _write(database: Database, track_ids: range, version: str = "v") -> None:
    numbers = np.random.default_rng(track_ids.start)
    await database["features"].insert_many(
        {"_id": n, "version": version, "raw": numbers.normal(n, 1.0, WIDTH).tolist()} for n in track_ids
    )


async def test_a_refit_is_a_new_revision_and_the_old_one_stays(settings: Settings) -> None:
    async with open_documents(settings) as database:
        with pytest.raises(InvalidInput, match="no audio features"):
            await normalise.refit(database)
        await _write(database, range(1, TRACKS + 1))
        first = await normalise.refit(database)
        assert (first.revision, first.new, first.rescaled) == (1, True, TRACKS)
        assert (await normalise.refit(database)).new is False
        await _write(database, range(5_000, 5_010))
        second = await normalise.refit(database)
        assert (second.revision, second.new, second.rescaled) == (2, True, TRACKS + 10)
        assert await database["scalers"].count_documents({}) == 2
        stored = await database["features"].find({}).sort("_id", 1).to_list(None)
        scaled = np.array([each["scaled"] for each in stored])
        np.testing.assert_allclose(scaled.mean(axis=0), 0, atol=1e-9)
        np.testing.assert_allclose(scaled.std(axis=0), 1, atol=1e-9)
        assert {each["scaler_id"] for each in stored} == {second.scaler_id}
        np.testing.assert_array_equal((await scaled_features(database))[1], scaled)
        await database["features"].delete_many({"_id": {"$gte": 5_000}})
        third = await normalise.refit(database)
        assert (third.revision, third.new) == (3, True)
        np.testing.assert_array_equal(
            (await newest_scaler(database, "v")).mean,
            (await database["scalers"].find_one({"revision": 1}))["mean"],
        )


async def test_a_refit_that_was_interrupted_is_completed_by_the_next(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    batches = 0

    class Failing:
        """A collection that breaks down at the second batch."""

        def __init__(self, real: object) -> None:
            self._real = real

        def __getattr__(self, name: str) -> object:
            nonlocal batches
            if name == "bulk_write":
                batches += 1
                if batches == 2:
                    raise DocumentsUnavailable("killed")
            return getattr(self._real, name)

    async with open_documents(settings) as database:
        await _write(database, range(1, TRACKS + 1))
        plain = type(database).__getitem__
        with monkeypatch.context() as patched:
            patched.setattr(
                type(database),
                "__getitem__",
                lambda self, name: Failing(plain(self, name)) if name == "features" else plain(self, name),
            )
            with pytest.raises(DocumentsUnavailable):
                await normalise.refit(database)
        assert await database["features"].count_documents({"scaled": {"$exists": True}}) == 1_000
        _, between = await scaled_features(database)
        assert len(between) == TRACKS
        report = await normalise.refit(database)
        assert (report.revision, report.new, report.rescaled) == (1, False, TRACKS - 1_000)
        np.testing.assert_array_equal((await scaled_features(database))[1], between)


async def test_a_refit_replaces_a_spoilt_scaler(settings: Settings) -> None:
    async with open_documents(settings) as database:
        await _write(database, range(1, 20))
        await normalise.refit(database)
        await database["scalers"].update_one({}, {"$set": {"count": 8}})
        report = await normalise.refit(database)
        assert (report.revision, report.new, report.rescaled) == (2, True, 19)
        assert len((await scaled_features(database))[0]) == 19
