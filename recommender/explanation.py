"""The share of a score that each past interaction contributes, from the same solve as the score.

With A the matrix that was solved for a user, the score of item i is

    y_i'x = sum over interactions j with r > 0 of  (y_i' A^-1 y_j) * (1 + c1_j)

so each summand is what interaction j contributes. Interactions with r < 0 shape A and contribute no
summand of their own.

Source: Hu, Koren and Volinsky (2008), section 5.
"""

from collections.abc import Sequence

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
    rows, best = greatest_shares([(solution, items)], top)
    return [
        [(row, share) for row, share in zip(of_rows, of_shares, strict=True) if share > 0.0]
        for of_rows, of_shares in zip(rows.tolist(), best.tolist(), strict=True)
    ]


def greatest_shares(
    given: Sequence[tuple[Solution, NDArray[np.float64]]], top: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return for each item of each user its greatest contributors, greatest first.

    Parameters
    ----------
    given : per user the solved equation, and float64 [k, rank], item factors
    top : contributors per item

    Returns
    -------
    rows of the model : int64 [sum of k, t <= top], user after user
    shares of the score : float64, as many, rounded to 1e-6; equal ones by row. 0 or less where no further
        interaction speaks for the item; the row means nothing then.
    """
    most = max((len(solution.rows) for solution, _ in given), default=0)
    shares = np.full((sum(len(items) for _, items in given), most), -np.inf)
    of_user = np.repeat(np.arange(len(given)), [len(items) for _, items in given])
    begin = 0
    for solution, items in given:
        parts = contributions(solution, items)
        scores = parts.sum(axis=1)
        its = slice(begin, begin + len(items))
        np.divide(
            parts, np.where(scores >= LEAST_SCORE, scores, np.inf)[:, None], shares[its, : parts.shape[1]]
        )
        begin = its.stop
    # rounded before ordering, so that noise of the last bit cannot order two equal interactions
    np.round(shares, 6, out=shares)
    each = np.arange(len(shares))
    order = np.empty((len(shares), min(top, most)), np.int64)
    found = np.empty(order.shape)
    # the first of the greatest, again and again: a few times cost less than to sort all
    for place in range(order.shape[1]):
        order[:, place] = shares.argmax(axis=1)
        found[:, place] = shares[each, order[:, place]]
        shares[each, order[:, place]] = -np.inf
    sizes = [len(solution.rows) for solution, _ in given]
    starts = np.cumsum([0, *sizes])[of_user]
    rows = np.concatenate([solution.rows for solution, _ in given]) if given else np.empty(0, np.int64)
    return rows[np.minimum(starts[:, None] + order, len(rows) - 1)], found
