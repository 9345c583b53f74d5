"""Standardisation: fitted once, stored under its hash, used again."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from connections.documents import open_documents
from etl import normalise
from schemas.errors import InvalidInput


@given(arrays(np.float64, (12, 3), elements=st.floats(-1e6, 1e6)))
def test_scaled_features_have_mean_zero_and_deviation_one_or_zero(raw: np.ndarray) -> None:
    scaled = normalise.fit("v", raw).apply(raw)
    assert np.isfinite(scaled).all()
    np.testing.assert_allclose(scaled.mean(axis=0), 0, atol=1e-4)
    deviation = scaled.std(axis=0)
    assert (np.isclose(deviation, 1, atol=1e-6) | (np.abs(scaled).max(axis=0) < 1e-2)).all()


def test_a_feature_that_never_varies_is_not_divided_by_zero() -> None:
    scaler = normalise.fit("v", np.full((4, 2), 0.1))
    assert scaler.scale.tolist() == [1.0, 1.0]
    np.testing.assert_allclose(scaler.apply(np.full(2, 0.1)), 0, atol=1e-12)


def test_equal_content_has_an_equal_id_and_other_content_another() -> None:
    raw = np.random.default_rng(1).normal(size=(5, 2))
    assert normalise.fit("v", raw).scaler_id == normalise.fit("v", raw.copy()).scaler_id
    assert normalise.fit("v", raw).scaler_id != normalise.fit("w", raw).scaler_id
    assert normalise.fit("v", raw).scaler_id != normalise.fit("v", raw + 1).scaler_id


@pytest.mark.parametrize("raw", [np.zeros((0, 2)), np.array([[1.0, np.nan]])])
def test_nothing_and_nan_cannot_be_fitted(raw: np.ndarray) -> None:
    with pytest.raises(InvalidInput):
        normalise.fit("v", raw)


async def test_the_stored_scaler_comes_back_exactly_and_a_spoilt_one_is_refused(settings) -> None:
    scaler = normalise.fit("v", np.random.default_rng(2).normal(size=(7, 4)))
    async with open_documents(settings) as database:
        assert await normalise.stored(database, "v") is None
        await normalise.store(database, scaler)
        await normalise.store(database, scaler)
        found = await normalise.stored(database, "v")
        assert found is not None
        assert found.scaler_id == scaler.scaler_id
        np.testing.assert_array_equal(found.mean, scaler.mean)
        await database["scalers"].update_one({}, {"$set": {"count": 8}})
        with pytest.raises(InvalidInput, match="does not match"):
            await normalise.stored(database, "v")
