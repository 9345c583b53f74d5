"""One user's factors against fixed item factors: the equation that Spark solves for a user while fitting.

With Y the item factors, r the signed strengths and c1 = alpha * abs(r), the user's factors x minimise

    sum over fitted items i of (p_i - y_i'x)^2
    + sum over the user's interactions j of c1_j * (p_j - y_j'x)^2 + lambda * x'x

where p is 1 for r > 0 and else 0, and lambda is reg_param times the number of interactions with r > 0.
A track whose factors were mapped from audio features has no part in Y'Y; where the user interacted with it,
it enters with weight 1 + c1, as if it had been fitted.

Source: Hu, Koren and Volinsky (2008), eq. 4; weighting as in Spark's ``ALS.computeFactors``, which reads
strengths as float32 and adds up in float64.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from math import isfinite

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import lapack

from recommender.model import Model
from schemas.errors import InvalidModel

Strengths = tuple[NDArray[np.int64], NDArray[np.float64]]


@dataclass(frozen=True, eq=False, slots=True)
class Solution:
    """One user's solved equation, with what an explanation needs.

    Attributes
    ----------
    user_factors : float64 [rank]
    rows : int64 [m], rows of the model that the user interacted with
    factors : float64 [m, rank], their item factors
    weights : float64 [m], 1 + c1 for interactions with r > 0, else 0
    upper : float64 [rank, rank], U with U'U the matrix that was solved (LAPACK's upper triangle)
    """

    user_factors: NDArray[np.float64]
    rows: NDArray[np.int64]
    factors: NDArray[np.float64]
    weights: NDArray[np.float64]
    upper: NDArray[np.float64]


def solve(model: Model, track_ids: NDArray[np.int64], strengths: NDArray[np.float64]) -> Solution | None:
    """Solve one user exactly (LAPACK ``posv``, float64).

    Parameters
    ----------
    track_ids : int64 [m]; tracks that the model does not know are left out
    strengths : float64 [m], signed, finite

    Returns
    -------
    The solution, or None where no interaction with a known track is positive: a cold start.

    Raises
    ------
    InvalidModel
        The matrix is not positive definite, which only a damaged model can cause.
    """
    [solution] = solve_all(model, model.rows(track_ids), strengths, np.array([0, len(track_ids)]))
    return solution


def solve_all(
    model: Model, rows: NDArray[np.int64], strengths: NDArray[np.float64], starts: NDArray[np.int64]
) -> list[Solution | None]:
    """Solve many users, each exactly as ``solve`` does: what stands beside a user changes no bit.

    Parameters
    ----------
    rows : int64 [t], rows of the model, user after user; -1 for a track that it does not know
    strengths : float64 [t], signed, finite; 0 where a track says nothing
    starts : int64 [users + 1], where the rows of each user begin

    Returns
    -------
    Per user what ``solve`` returns.

    Raises
    ------
    InvalidModel
        See ``solve``.
    """
    known = np.flatnonzero((rows >= 0) & (strengths != 0.0))
    starts = np.searchsorted(known, starts)
    rows = rows[known]
    # Spark casts ratings to float32 before it fits
    r = strengths[known].astype(np.float32).astype(np.float64)
    liked = r > 0
    c1 = model.alpha * np.abs(r)
    weights = np.where(liked, 1.0 + c1, 0.0)
    beside = (c1 + ~model.fitted[rows])[:, None]
    found: list[Solution | None] = []
    for start, end in pairwise(starts.tolist()):
        its = slice(start, end)
        positive = int(np.count_nonzero(liked[its]))
        if positive:
            factors = model.factor_rows.take(rows[its], axis=0).astype(np.float64)
            upper, x = _solved(model, factors, factors * beside[its], weights[its], positive)
            found.append(Solution(x, rows[its], factors, weights[its], upper))
        else:
            found.append(None)
    return found


def _solved(
    model: Model,
    factors: NDArray[np.float64],
    scaled: NDArray[np.float64],
    weights: NDArray[np.float64],
    positive: int,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    matrix = factors.T @ scaled
    matrix += model.gram
    matrix.flat[:: model.rank + 1] += model.reg_param * positive
    # the transpose is what LAPACK reads as column order: the matrix is symmetric, so nothing is copied
    upper, x, info = lapack.dposv(matrix.T, weights @ factors, lower=0, overwrite_a=1, overwrite_b=1)
    # a sum is finite if all are: it costs a third of looking at each
    if info != 0 or not isfinite(x.sum()):
        raise InvalidModel(f"model {model.model_id}: a user's equation has no solution (posv {info})")
    return upper, x


def fold_in(model: Model, users: Iterable[Strengths]) -> NDArray[np.float64]:
    """Return the factors of many users; a user without a known positive interaction is a row of NaN.

    Parameters
    ----------
    users : one ``(track_ids int64 [m], strengths float64 [m])`` per user, as ``strength.strengths`` returns

    Returns
    -------
    float64 [users, rank]

    Raises
    ------
    InvalidModel
        See ``solve``.
    """
    given = list(users)
    found = np.full((len(given), model.rank), np.nan)
    for at, (track_ids, strengths) in enumerate(given):
        solution = solve(model, track_ids, strengths)
        if solution is not None:
            found[at] = solution.user_factors
    return found
