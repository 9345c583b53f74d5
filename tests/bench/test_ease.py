"""EASE by its closed form, and by the smaller matrix."""

import numpy as np
import pytest
from scipy import sparse

from bench._ease import ease_scores


@pytest.mark.parametrize(("users", "items"), [(30, 50), (50, 30)])
def test_both_ways_give_the_scores_of_the_closed_form(users: int, items: int) -> None:
    x = (np.random.default_rng(0).random((users, items)) < 0.3).astype(float)
    inverse = np.linalg.inv(x.T @ x + 7.0 * np.eye(items))
    weights = -inverse / np.diag(inverse)[None, :]
    np.fill_diagonal(weights, 0.0)
    asked = np.array([3, 0, 7])
    found = ease_scores(sparse.csr_matrix(x * 2.0), 7.0, asked)(0, 3)
    np.testing.assert_allclose(found, (x @ weights)[asked], atol=1e-6)
