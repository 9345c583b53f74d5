"""Similar tracks: exactly the nearest by cosine, whatever the sieve does."""

import gc
import weakref

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from recommender import similar as similar_tracks
from recommender.model import Model
from recommender.similar import neighbourhood, similar
from tests.recommender.ranked import made


def by_the_book(
    model: Model, row: int, among: NDArray[np.bool_], count: int
) -> tuple[list[int], list[float]]:
    """Return the nearest rows and their cosines: all in float64, all sorted."""
    rows = model.factor_rows.astype(float)
    lengths = np.linalg.norm(rows, axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        cosines = np.round(rows @ rows[row] / lengths / lengths[row], 6) + 0.0
    allowed = among & (lengths > 0)
    allowed[row] = False
    order = np.lexsort((model.track_ids, -cosines))
    order = order[allowed[order]][:count]
    return order.tolist(), cosines[order].tolist()


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**32), st.integers(1, 4000), st.integers(1, 12), st.integers(1, 100), st.data())
def test_similar_tracks_equal_sorting_all_cosines(
    seed: int, items: int, rank: int, count: int, data: st.DataObject
) -> None:
    model = made(seed, items, rank, scale=10.0 ** data.draw(st.integers(-4, 4)))
    row = data.draw(st.integers(0, items - 1))
    everybody = np.ones(items, bool)

    found = similar(model, row, count)

    # a track placed by its sound is compared with all, a fitted one with the fitted
    rows, cosines = by_the_book(model, row, model.fitted if model.fitted[row] else everybody, count)
    assert found.cosines.tolist() == pytest.approx(cosines, abs=1.1e-6)
    assert len(found.rows) == len(rows)
    # rounded in the last place one or the other way, two may change places
    differ = [at for at, (one, other) in enumerate(zip(found.rows, rows, strict=True)) if one != other]
    assert all(abs(found.cosines[at] - cosines[at]) <= 1.1e-6 for at in differ)


def test_equally_near_tracks_stand_in_the_order_of_their_ids() -> None:
    rows = np.tile([[1.0, 0.0], [0.0, 2.0]], (1500, 1))
    model = Model.build("m", np.arange(1, 3001), rows, np.ones(3000, bool), np.ones(3000), 0.1, 10.0)

    found = similar(model, 10, 30)

    assert found.rows.tolist() == [row for row in range(0, 62, 2) if row != 10]
    assert set(found.cosines.tolist()) == {1.0}


def test_a_track_without_direction_is_near_nothing() -> None:
    rows = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 0.0]])
    model = Model.build("m", np.arange(1, 5), rows, np.ones(4, bool), np.ones(4), 0.1, 10.0)

    assert similar(model, 0, 5).rows.tolist() == []
    assert similar(model, 1, 5).rows.tolist() == [2]
    assert similar(model, 1, 5).cosines.tolist() == [0.707107]


def test_tracks_placed_by_their_sound_stand_beside_the_fitted_ones() -> None:
    model = made(8, 600)
    hood = neighbourhood(model)
    row = int(np.flatnonzero(model.fitted)[3])

    found = hood.nearest(model, [row], 20, 5)[row]

    expected = {*by_the_book(model, row, model.fitted, 20)[0], *by_the_book(model, row, ~model.fitted, 5)[0]}
    assert set(found.rows.tolist()) == expected
    assert found.cosines.tolist() == sorted(found.cosines.tolist(), reverse=True)


def test_neighbours_asked_for_last_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(similar_tracks, "_HELD", 2)
    model = made(8, 50)
    hood = neighbourhood(model)
    first = hood.near(model, [0, 1])

    again = hood.near(model, [1, 0])
    assert again[0] is first[0]
    assert again[1] is first[1]
    hood.near(model, [2])

    assert hood.near(model, [0])[0] is first[0]
    assert hood.near(model, [1])[1] is not first[1]


def test_what_is_kept_goes_with_the_model() -> None:
    model = made(8, 50)
    kept = weakref.ref(neighbourhood(model))
    assert neighbourhood(model) is kept()

    del model
    gc.collect()

    assert kept() is None
