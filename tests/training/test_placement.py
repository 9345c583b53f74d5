"""Factors for tracks without plays."""

import numpy as np

from training.placement import place


def test_a_linear_relation_between_sound_and_factors_is_found() -> None:
    random = np.random.default_rng(1)
    features = random.normal(size=(200, 13))
    truth = (features @ random.normal(size=(13, 6)) + 2.0).astype(np.float32)
    row_of = np.where(np.arange(200) < 150, np.arange(200), -1)
    placed = place(features, row_of, truth[:150])
    assert placed.at.tolist() == list(range(150, 200))
    assert placed.explained is not None
    assert placed.explained > 0.99
    np.testing.assert_allclose(placed.rows, truth[150:], atol=0.02)


def test_the_left_out_error_is_that_of_fitting_without_the_track() -> None:
    random = np.random.default_rng(2)
    features, factors = random.normal(size=(30, 3)), random.normal(size=(30, 2)).astype(np.float32)
    factors += features[:, :2].astype(np.float32)
    placed = place(np.vstack((features, features[:1])), np.append(np.arange(30), -1), factors)
    assert placed.penalty is not None
    assert placed.explained is not None
    errors = 0.0
    for out in range(30):
        kept = np.arange(30) != out
        x, y = features[kept], factors[kept].astype(float)
        centred = x - x.mean(axis=0)
        solved = np.linalg.solve(centred.T @ centred + placed.penalty * np.eye(3), centred.T @ y)
        errors += ((factors[out] - y.mean(axis=0) - (features[out] - x.mean(axis=0)) @ solved) ** 2).sum()
    total = ((factors - factors.mean(axis=0)) ** 2).sum()
    assert abs(placed.explained - (1 - errors / total)) < 0.02


def test_sound_that_says_nothing_about_taste_places_nothing() -> None:
    random = np.random.default_rng(3)
    factors = random.normal(size=(40, 8)).astype(np.float32)
    placed = place(random.normal(size=(60, 13)), np.where(np.arange(60) < 40, np.arange(60), -1), factors)
    assert len(placed.at) == 0
    assert placed.rows.shape == (0, 8)


def test_without_features_nothing_is_placed() -> None:
    placed = place(np.empty((0, 0)), np.empty(0, np.int64), np.ones((5, 4), np.float32))
    assert placed.rows.shape == (0, 4)
    assert placed.penalty is None
