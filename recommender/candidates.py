"""The exact best items of a user: integers for all items, float64 for those that can matter.

The sieve (``recommender.sieve``) finds all items that can be among the best, by a rigorous bound. These are
scored in float64 in one fixed order, and then the best are cut off. So the result does not depend on batch
size, threads or the machine.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from recommender.catalogue import Catalogue
from recommender.model import Model

DECIMALS = 6
SLACK = 2.0 * 10.0**-DECIMALS
"""Scores that differ by less can come to stand in either order when they are rounded."""


@dataclass(frozen=True, eq=False)
class RankingSpace:
    """How the rows of one model and one catalogue belong together.

    Attributes
    ----------
    catalogue_rows : int64 [items], row of the catalogue, -1 for an item outside of it
    artists : int64 [items], artist of the item
    outside : int64 [o], items outside the catalogue: never recommended
    """

    model: Model
    catalogue: Catalogue
    catalogue_rows: NDArray[np.int64]
    artists: NDArray[np.int64]
    outside: NDArray[np.int64]
    _by_artist: NDArray[np.int64]
    _artists_sorted: NDArray[np.int64]

    def of_artists(self, artist_ids: NDArray[np.uint64]) -> NDArray[np.int64]:
        """Return the items of these artists."""
        wanted = artist_ids.astype(np.int64)
        starts = np.searchsorted(self._artists_sorted, wanted, side="left")
        ends = np.searchsorted(self._artists_sorted, wanted, side="right")
        parts = [self._by_artist[start:end] for start, end in zip(starts, ends, strict=True)]
        return np.concatenate(parts) if parts else np.empty(0, np.int64)


# two: while a new model is activated partition by partition, the old one is in use beside it
@lru_cache(maxsize=2)
def ranking_space(model: Model, catalogue: Catalogue) -> RankingSpace:
    """Return the alignment of a model with a catalogue; built once for each pair of objects."""
    rows = catalogue.rows(model.track_ids)
    artists = np.where(rows >= 0, catalogue.artist_ids[rows] if len(catalogue.track_ids) else -1, -1)
    by_artist = np.argsort(artists, kind="stable")
    return RankingSpace(
        model, catalogue, rows, artists, np.flatnonzero(rows < 0), by_artist, artists[by_artist]
    )


def score_exactly(
    model: Model, rows: NDArray[np.int64], user_factors: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the scores of single items: float64, added up in a fixed order, rounded to 1e-6."""
    return scores_of_all(model, rows, [0, len(rows)], user_factors[None, :])


def scores_of_all(
    model: Model, rows: NDArray[np.int64], starts: Sequence[int], user_factors: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the scores of single items of many users, each as ``score_exactly`` does.

    Parameters
    ----------
    rows : int64 [c], rows of the model, user after user
    starts : where the rows of each user begin, and where the last ones end
    user_factors : float64 [users, rank]

    Returns
    -------
    float64 [c]
    """
    sums = np.empty(len(rows))
    for (start, end), of_user in zip(pairwise(starts), user_factors, strict=True):
        # mode "clip": without a check of bounds it copies in one go
        factors = model.factor_rows.take(rows[start:end], axis=0, mode="clip").astype(np.float64)
        # not BLAS: the order of addition must not depend on how many rows there are
        np.einsum("ij,j->i", factors, of_user, out=sums[start:end])
    # adding 0 turns -0.0 into 0.0
    rounded: NDArray[np.float64] = np.round(sums, DECIMALS) + 0.0
    return rounded


def best(
    model: Model, user_factors: NDArray[np.float64], count: int, excluded: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return exactly the best ``count`` items of one user, or all allowed ones if there are fewer.

    Parameters
    ----------
    user_factors : float64 [rank]
    excluded : int64, rows that are not allowed

    Returns
    -------
    rows : int64 [c <= count], greatest score first, ties by track id
    scores : float64 [c], rounded to 1e-6
    """
    gone = np.zeros(len(excluded), np.int64), excluded
    rows = model.sieve.contenders(user_factors[None, :], count, SLACK, gone)
    scores = score_exactly(model, rows, user_factors)
    order = np.argsort(-scores, kind="stable")[:count]  # rows ascend as track ids do: ties by track id
    return rows[order], scores[order]
