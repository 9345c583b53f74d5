"""Figures of contestants that ranked the same users."""

import numpy as np
import pytest

from tests.training.judgements import evaluation
from training.artists import Artists
from training.evaluation_tables import TITLES


def test_every_contestant_but_the_model_has_paired_differences_of_all_metrics() -> None:
    found = evaluation()["against"]
    assert list(found) == list(TITLES)
    assert "difference" not in found["model"]
    for name, one in found.items():
        if name != "model":
            for metric in ("ndcg_at_10", "recall_at_20", "map_at_10", "mrr"):
                difference = one["difference"][metric]
                assert difference["low"] <= difference["value"] <= difference["high"]
                expected = found["model"][metric]["value"] - one[metric]["value"]
                assert difference["value"] == pytest.approx(expected)
    assert found["popularity"]["difference"]["ndcg_at_10"]["low"] > 0.3


def test_segments_hold_figures_of_every_contestant() -> None:
    for part in evaluation()["segments"]:
        assert part["users"] > 0
        assert list(part["figures"]) == list(TITLES)


def test_the_curve_of_exposure_rises_from_nothing_to_all_below_the_diagonal() -> None:
    for values in evaluation()["exposure"].values():
        assert (values[0], values[-1]) == (0.0, 1.0)
        assert (np.diff(values) >= 0).all()
        assert (np.array(values) <= np.linspace(0, 1, len(values)) + 1e-9).all()


def test_a_track_outside_the_catalogue_has_an_artist_of_its_own() -> None:
    artists = Artists(np.array([1, 2, 3]), np.array([7, 7, 9]))
    found = artists.of(np.array([1, 2, 3, 4, 5]))
    assert found[0] == found[1] != found[2]
    assert len(set(found.tolist())) == 4
