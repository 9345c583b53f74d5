"""A model is checked when it is built, and its id depends on everything that it consists of."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recommender.model import PARAMETERS, Model, canonical_arrays, model_digest
from schemas.errors import InvalidModel

GOOD: dict[str, Any] = {
    "track_ids": np.array([3, 5, 2**53 - 1]),
    "item_factors_rows": np.array([[1.0, 2.0], [0.5, -1.0], [4.0, 0.25]], np.float32),
    "fitted": np.array([True, True, False]),
    "popularity": np.array([7.0, 1.0, 0.0], np.float32),
}
FITTED_WITH = {"rank": 2, "reg_param": 0.1, "alpha": 10.0, "max_iter": 5}


def build(**changed: Any) -> Model:
    return Model.build(**{"model_id": "m", "reg_param": 0.1, "alpha": 10.0} | GOOD | changed)


def test_factors_are_stored_by_row() -> None:
    model = build()

    assert model.rank == 2
    assert model.factor_rows.shape == (3, 2)
    assert model.factor_rows.flags.c_contiguous
    assert model.factor_rows.dtype == np.float32


def test_the_gram_leaves_out_rows_mapped_from_audio() -> None:
    assert np.array_equal(build().gram, [[1.25, 1.5], [1.5, 5.0]])


def test_a_track_has_its_row_and_an_unknown_one_has_none() -> None:
    rows = build().rows(np.array([2**53 - 1, 4, 3, 1, 5, 2**60]))

    assert rows.tolist() == [2, -1, 0, -1, 1, -1]


def test_the_arrays_of_a_model_cannot_be_changed() -> None:
    model = build()

    for array in (model.factor_rows, model.gram, model.track_ids, model.fitted):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0


@pytest.mark.parametrize(
    ("changed", "found"),
    [
        ({"track_ids": np.array([3, 3, 5])}, "ascending"),
        ({"track_ids": np.array([5, 3, 9])}, "ascending"),
        ({"track_ids": np.array([3, 5])}, "belong"),
        ({"track_ids": np.array([], np.int64)}, "at least one track"),
        ({"item_factors_rows": np.full((3, 2), np.nan)}, "6 numbers of item_factors are not finite"),
        ({"item_factors_rows": np.array([[1, np.inf], [0, 0], [0, 0]])}, "1 numbers"),
        ({"item_factors_rows": np.ones((3, 0))}, "belong"),
        ({"item_factors_rows": np.ones(3)}, "belong"),
        ({"fitted": np.array([True])}, "fitted"),
        ({"popularity": np.array([1.0, np.nan, 2.0])}, "popularity"),
        ({"reg_param": 0.0}, "above 0"),
        ({"alpha": np.nan}, "above 0"),
    ],
)
def test_a_damaged_model_is_refused(changed: dict[str, Any], found: str) -> None:
    with pytest.raises(InvalidModel, match=found):
        build(**changed)


def arrays() -> dict[str, Any]:
    return canonical_arrays(*GOOD.values())


def test_the_id_is_known_for_known_content() -> None:
    """The id of a published model must never change: it names factors in the log for ever."""
    assert model_digest(arrays(), FITTED_WITH) == (
        "1af3f4f26b6d920a1e14bd3211a4baa5952641131f9ca13cda2c36051b6824ff"
    )


def test_the_id_does_not_depend_on_dtype_order_or_other_fields() -> None:
    wide = arrays() | {"item_factors": np.asfortranarray(arrays()["item_factors"], np.float64)}
    shuffled = dict(reversed(wide.items()))

    assert model_digest(shuffled, FITTED_WITH | {"seq": 9}) == model_digest(arrays(), FITTED_WITH)


@given(st.sampled_from(PARAMETERS))
def test_the_id_depends_on_each_parameter(name: str) -> None:
    changed = FITTED_WITH | {name: FITTED_WITH[name] + 1}

    assert model_digest(arrays(), changed) != model_digest(arrays(), FITTED_WITH)


@pytest.mark.parametrize("name", ["track_ids", "item_factors", "fitted", "popularity"])
def test_the_id_depends_on_each_array(name: str) -> None:
    changed = arrays()
    changed[name] = changed[name].copy()
    changed[name].flat[0] = not changed[name].flat[0] if name == "fitted" else changed[name].flat[0] - 1

    assert model_digest(changed, FITTED_WITH) != model_digest(arrays(), FITTED_WITH)


def test_what_is_missing_is_named() -> None:
    with pytest.raises(InvalidModel, match="popularity, alpha"):
        model_digest(
            {name: array for name, array in arrays().items() if name != "popularity"},
            {name: value for name, value in FITTED_WITH.items() if name != "alpha"},
        )
