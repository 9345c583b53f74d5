"""The share of a score that each past interaction contributes, from the same solve as the score.

With A the matrix that was solved for a user, the score of item i is

    y_i'x = sum over interactions j with r > 0 of  (y_i' A^-1 y_j) * (1 + c1_j)

so each summand is what interaction j contributes. Interactions with r < 0 shape A and contribute no
summand of their own.

Source: Hu, Koren and Volinsky (2008), section 5.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import lapack

from recommender.foldin import Solution

LEAST_SCORE = 1e-6
"""A score below this, rounded away in a list, has no shares."""


def contributions(solution: Solution, items: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return what each interaction contributes to the score of each item.

    Parameters
    ----------
    items : float64 [k, rank], item factors

    Returns
    -------
    float64 [k, m]; row k sums to the score of item k
    """
    solved, _ = lapack.dpotrs(solution.upper, items.T, lower=0)
    found: NDArray[np.float64] = (solved.T @ solution.factors.T) * solution.weights
    return found


def top_shares(solution: Solution, items: NDArray[np.float64], top: int = 3) -> list[list[tuple[int, float]]]:
    """Return for each item its greatest positive contributors, greatest first.

    Parameters
    ----------
    items : float64 [k, rank], item factors
    top : most contributors per item

    Returns
    -------
    Per item a list of ``(row of the model, share of the score)``; equal shares by row. A share can exceed 1
    where other interactions speak against the item. Empty where the score is not positive.
    """
    rows, best = greatest_shares(solution, items, top)
    return [
        [(row, share) for row, share in zip(of_rows, of_shares, strict=True) if share > 0.0]
        for of_rows, of_shares in zip(rows.tolist(), best.tolist(), strict=True)
    ]


def greatest_shares(
    solution: Solution, items: NDArray[np.float64], top: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return for each item its greatest contributors, greatest first, also those that are not positive.

    Returns
    -------
    rows of the model : int64 [k, t <= top]
    shares of the score : float64 [k, t], rounded to 1e-6; equal ones by row
    """
    parts = contributions(solution, items)
    scores = parts.sum(axis=1)
    # rounded before ordering, so that noise of the last bit cannot order two equal interactions
    shares = np.round(parts / np.where(scores >= LEAST_SCORE, scores, np.inf)[:, None], 6)
    # the first of the greatest, again and again: a few times cost less than to sort all
    left, each = shares.copy(), np.arange(len(shares))
    order = np.empty((len(shares), min(top, shares.shape[1])), np.int64)
    for place in range(order.shape[1]):
        order[:, place] = left.argmax(axis=1)
        left[each, order[:, place]] = -np.inf
    return solution.rows[order], shares[each[:, None], order]
