"""The exact best n items of many users at once, by score alone: no rules, no histories.

The sieve of 8-bit integers (``recommender.sieve``) that serves single users finds, for a block of users at
once, all items that can be among their best. These are scored in float64 in one fixed order, rounded to 1e-6;
ties by item. So the lists do not depend on blocks, threads or the machine.
"""

import numpy as np
from numpy.typing import NDArray

from recommender.candidates import DECIMALS, SLACK
from recommender.sieve import Sieve

BLOCK = 32
"""Users per product: as many as the sieve's tiles are made for."""


class Items:
    """Item factors, ready to be ranked.

    Parameters
    ----------
    rows : float32 [n, rank], finite
    """

    def __init__(self, rows: NDArray[np.float32]) -> None:
        self._wide = rows.astype(np.float64)
        self._sieve = Sieve(rows)

    @property
    def rank(self) -> int:
        """Number of factors."""
        return int(self._wide.shape[1])

    def top_n(self, users: NDArray[np.floating], n: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Return the best ``n`` items of each user, all of them if there are fewer.

        Parameters
        ----------
        users : [u, rank], finite

        Returns
        -------
        rows : int64 [u, m], m = min(n, items), greatest score first, ties by row
        scores : float64 [u, m], rounded to 1e-6
        """
        count = min(n, len(self._wide))
        rows, scores = np.empty((len(users), count), np.int64), np.empty((len(users), count))
        for start in range(0, len(users), BLOCK):
            some = users[start : start + BLOCK].astype(np.float64)
            here = slice(start, start + len(some))
            rows[here], scores[here] = self._best(some, count)
        return rows, scores

    def _best(self, users: NDArray[np.float64], count: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        of, rows = np.divmod(self._sieve.contenders(users, count, SLACK), len(self._wide))
        # as `candidates.score_exactly`, which does one user: the order of addition is always the same
        exact = np.round(
            np.einsum("ij,ij->i", self._wide.take(rows, axis=0), users.take(of, axis=0)), DECIMALS
        )
        starts = np.searchsorted(of, np.arange(len(users) + 1))
        table = np.full((len(users), int(np.diff(starts).max())), -np.inf)
        table[of, np.arange(len(of)) - starts[of]] = exact + 0.0
        # contenders ascend by row, and the sort is stable: ties by row
        order = np.argsort(-table, axis=1, kind="stable")[:, :count]
        return rows[starts[:-1, None] + order], np.take_along_axis(table, order, axis=1)
