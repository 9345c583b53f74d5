"""The exact best items of a user: float32 for all items at once, float64 for those that can matter.

The float32 product is only a sieve. Its error is bounded (Cauchy-Schwarz), everything within twice the
bound of the threshold is scored again in float64 in one fixed order, and then the best are cut off. So the
result does not depend on batch size, threads or the BLAS in use.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from recommender.catalogue import Catalogue
from recommender.model import Model

DECIMALS = 6
UNIT = 2.0**-24  # rounding unit of float32
_GROUPS = 8  # groups per wanted item in the search for a threshold
_FEW_USERS = 16  # up to here tracks times users beats users times tracks, which first copies the factors
_TILE = 4096  # items per product: 1 MB of factors at rank 64, and the scores stay in the cache


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


def score_all(model: Model, user_factors: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return approximate scores of all items: float32 [users, items].

    Reading the factors is what costs, so they are read once, in tiles; one user alone is fastest whole.
    """
    users = user_factors.astype(np.float32)
    items = model.item_factors.shape[1]
    found = np.empty((len(users), items), np.float32)
    if len(users) == 1:
        np.matmul(users[0], model.item_factors, out=found[0])
        return found
    columns = np.ascontiguousarray(users.T)
    for start in range(0, items, _TILE):
        tile = slice(start, start + _TILE)
        if len(users) <= _FEW_USERS:
            found[:, tile] = (model.factor_rows[tile] @ columns).T
        else:
            np.matmul(users, model.item_factors[:, tile], out=found[:, tile])
    return found


def score_exactly(
    model: Model, rows: NDArray[np.int64], user_factors: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the scores of single items: float64, added up in a fixed order, rounded to 1e-6."""
    # a product and a row sum, not BLAS: the order of addition must not depend on how many rows there are
    products = model.factor_rows[rows] * user_factors
    # adding 0 turns -0.0 into 0.0
    rounded: NDArray[np.float64] = np.round(products.sum(axis=1), DECIMALS) + 0.0
    return rounded


def best(
    model: Model, approximate: NDArray[np.float32], user_factors: NDArray[np.float64], count: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return exactly the best ``count`` items of one user, or all allowed ones if there are fewer.

    Parameters
    ----------
    approximate : float32 [items], a row of ``score_all``; -inf where an item is not allowed
    user_factors : float64 [rank]

    Returns
    -------
    rows : int64 [c <= count], greatest score first, ties by track id
    scores : float64 [c], rounded to 1e-6
    """
    # the products are in float32 and so was the user: rank + 2 roundings; and the rounding of the result
    length = float(np.sqrt(user_factors @ user_factors))
    error = (model.rank + 2) * UNIT * length * model.longest
    least = threshold(approximate, count) - 2.0 * error - 2.0 * 10.0**-DECIMALS
    rows = np.flatnonzero(approximate >= least if np.isfinite(least) else approximate > -np.inf)
    scores = score_exactly(model, rows, user_factors)
    order = np.argsort(-scores, kind="stable")[:count]  # rows ascend as track ids do: ties by track id
    return rows[order], scores[order]


def threshold(values: NDArray[np.float32], count: int) -> float:
    """Return a number that at least ``count`` of the values reach, near the greatest such number."""
    n = len(values)
    if n <= count:
        return -np.inf
    groups = _GROUPS * count
    if n >= 2 * groups:
        # maxima of disjoint groups: the count-th greatest is reached by count items of different groups
        values = values[: n - n % groups].reshape(-1, groups).max(axis=0)
        n = groups
    return float(np.partition(values, n - count)[n - count])
