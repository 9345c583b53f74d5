"""The exact best n items of many users at once, by score alone: no rules, no histories.

One product gives the float32 scores of a block of users. Its columns are dealt into groups; the n items of a
user lie in the n groups of the greatest maxima, so only these are looked into. What can matter for the order,
by the bound on the error of a float32 product (``candidates``), is scored again in float64 in one fixed order
and rounded to 1e-6; ties by item. So the lists do not depend on blocks, threads or the BLAS in use.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recommender.candidates import DECIMALS, UNIT

BLOCK = 128
"""Users per product: 10 MB of scores for 20,000 items."""
_SPARE = 4  # candidates beyond n that are scored again; where more can matter, all of them are
_LEAST_PER_GROUP = 16


@dataclass(frozen=True, eq=False)
class Items:
    """Item factors as the product and the second look read them; use ``of``.

    Attributes
    ----------
    rows : float32 [n, rank], C-contiguous
    columns : float32 [rank, n], C-contiguous
    longest : greatest Euclidean norm of a row
    """

    rows: NDArray[np.float32]
    columns: NDArray[np.float32]
    longest: float

    @classmethod
    def of(cls, rows: NDArray[np.float32]) -> "Items":
        """Return the items of these factors, float32 [n, rank]."""
        rows = np.ascontiguousarray(rows, np.float32)
        longest = float(np.sqrt(np.einsum("ij,ij->i", rows, rows, dtype=np.float64).max()))
        return cls(rows, np.ascontiguousarray(rows.T), longest)


def top_n(items: Items, users: NDArray[np.float32], n: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the best ``n`` items of each user, all of them if there are fewer.

    Parameters
    ----------
    users : float32 [u, rank], finite

    Returns
    -------
    rows : int64 [u, m], m = min(n, items), greatest score first, ties by row
    scores : float64 [u, m], rounded to 1e-6
    """
    count = min(n, len(items.rows))
    found = np.empty((len(users), count), np.int64)
    scores = np.empty((len(users), count))
    buffer = np.empty((min(BLOCK, len(users)), len(items.rows)), np.float32)
    for start in range(0, len(users), BLOCK):
        some = users[start : start + BLOCK]
        approximate = np.matmul(some, items.columns, out=buffer[: len(some)])
        here = slice(start, start + len(some))
        found[here], scores[here] = _best(items, some, approximate, count)
    return found, scores


def _best(
    items: Items, users: NDArray[np.float32], approximate: NDArray[np.float32], count: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    wide = users.astype(np.float64)
    lengths = np.sqrt(np.einsum("ij,ij->i", wide, wide))
    # twice the error of the product, and the rounding of the result: what lies so close may change places
    slack = 2.0 * (wide.shape[1] + 2) * UNIT * lengths * items.longest + 2.0 * 10.0**-DECIMALS
    candidates, settled = greatest(approximate, count, slack.astype(np.float32))
    rows, scores = _ordered(items, candidates, wide, count)
    for user in np.flatnonzero(~settled):
        close = _within(approximate[user], count, float(slack[user]))
        rows[user], scores[user] = (
            of[0] for of in _ordered(items, close[None, :], wide[user : user + 1], count)
        )
    return rows, scores


def greatest(
    values: NDArray[np.float32], count: int, slack: NDArray[np.float32]
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return in each row the columns of the greatest values, in no order.

    Parameters
    ----------
    values : float32 [u, n]
    count : how many are wanted, at most n
    slack : float32 [u], how far below the ``count``-th greatest a value still matters

    Returns
    -------
    columns : int64 [u, m], m a few more than ``count``, or n
    settled : bool [u]; False: values that matter are missing in this row
    """
    width = count + _SPARE
    groups = max(4 * width, min(values.shape[1] // _LEAST_PER_GROUP, 2048))
    per_group = values.shape[1] // groups
    if per_group < 2:
        return _greatest_of(values, np.arange(values.shape[1])[None, :], count, slack)
    dealt = values[:, : groups * per_group].reshape(len(values), per_group, groups)
    maxima = dealt.max(axis=1)
    chosen = np.argpartition(maxima, groups - width, axis=1)[:, groups - width :]
    heads = np.take_along_axis(maxima, chosen, axis=1)
    # columns of the chosen groups, and those that are left over
    columns = (chosen[:, :, None] + groups * np.arange(per_group)).reshape(len(values), -1)
    left = np.broadcast_to(
        np.arange(groups * per_group, values.shape[1]), (len(values), values.shape[1] % groups)
    )
    columns = np.concatenate([columns, left], axis=1) if left.shape[1] else columns
    found, settled = _greatest_of(np.take_along_axis(values, columns, axis=1), columns, count, slack)
    nth = np.partition(heads, width - count, axis=1)[:, width - count]
    return found, settled & (heads.min(axis=1) < nth - slack)


def _greatest_of(
    values: NDArray[np.float32], columns: NDArray[np.int64], count: int, slack: NDArray[np.float32]
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    size, width = values.shape[1], count + _SPARE
    if size <= width:
        return np.broadcast_to(columns, values.shape), np.ones(len(values), bool)
    chosen = np.argpartition(values, size - width, axis=1)[:, size - width :]
    heads = np.take_along_axis(values, chosen, axis=1)
    nth = np.partition(heads, width - count, axis=1)[:, width - count]
    picked = np.take_along_axis(np.broadcast_to(columns, values.shape), chosen, axis=1)
    return picked, heads.min(axis=1) < nth - slack


def _within(values: NDArray[np.float32], count: int, slack: float) -> NDArray[np.int64]:
    """Return all columns of one row whose values matter."""
    nth = float(np.partition(values, len(values) - count)[len(values) - count])
    return np.flatnonzero(values >= nth - slack)


def _ordered(
    items: Items, candidates: NDArray[np.int64], wide: NDArray[np.float64], count: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the best of the candidates by their exact scores.

    Parameters
    ----------
    candidates : int64 [u, m >= count]
    wide : float64 [u, rank]
    """
    # a product and a row sum, as in `candidates.score_exactly`: the order of addition is always the same
    products = items.rows[candidates] * wide[:, None, :]
    scores = np.round(products.sum(axis=2), DECIMALS) + 0.0
    order = np.lexsort((candidates, -scores), axis=1)[:, :count]
    return np.take_along_axis(candidates, order, axis=1), np.take_along_axis(scores, order, axis=1)
