"""Tracks that are alike: exactly the nearest by the cosine of item factors.

Factors learned from listeners and factors mapped from audio features lie in one space, but not at one
distance: the map draws tracks together. So the neighbours of a fitted track are fitted ones, and the nearest
of those placed by their sound stand apart. A track that was itself placed by its sound is compared with all.

As in ``candidates`` a float32 product is the sieve, and what can matter is computed again in float64 in one
fixed order, rounded to 1e-6; ties by track id.
"""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from threading import Lock
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from recommender.candidates import DECIMALS, UNIT, score_all, threshold
from recommender.model import Model

NEAREST = 64
"""Neighbours kept of a track."""
NEAREST_BY_SOUND = 16
"""Neighbours kept beside them that were placed by their sound."""
_HELD = 8_192  # tracks whose neighbours are kept: some 1.5 kB each
_LEAST_LENGTH = 1e-12  # shorter factors have no direction


@dataclass(frozen=True, eq=False, slots=True)
class Near:
    """Tracks near one track, nearest first.

    Attributes
    ----------
    rows : int64 [m], rows of the model
    cosines : float64 [m], -1 to 1, rounded to 1e-6
    """

    rows: NDArray[np.int64]
    cosines: NDArray[np.float64]


class Neighbourhood:
    """The lengths of a model's factors, and the neighbours of the tracks asked for last.

    It does not hold the model, so that it goes with it.
    """

    def __init__(self, model: Model) -> None:
        rows = model.factor_rows
        self.lengths: NDArray[np.float64] = np.sqrt(np.einsum("ij,ij->i", rows, rows, dtype=np.float64))
        with np.errstate(divide="ignore"):
            inverse = np.where(self.lengths > _LEAST_LENGTH, 1.0 / self.lengths, 0.0)
        self._inverse = inverse.astype(np.float32)
        self._without = np.flatnonzero(inverse == 0.0)
        self._by_sound = np.flatnonzero(~model.fitted)
        self._held: OrderedDict[int, Near] = OrderedDict()
        self._lock = Lock()

    def directions(self, model: Model, rows: Sequence[int]) -> NDArray[np.float64]:
        """Return factors of length 1: float64 [len(rows), rank]; 0 where a track has none."""
        at = np.asarray(rows, np.int64)
        lengths = self.lengths[at]
        lengths = np.where(lengths > _LEAST_LENGTH, lengths, np.inf)
        return model.factor_rows[at].astype(np.float64) / lengths[:, None]

    def held(self, row: int) -> Near | None:
        """Return the neighbours of a track if they are kept."""
        with self._lock:
            found = self._held.get(row)
            if found is not None:
                self._held.move_to_end(row)
            return found

    def keep(self, row: int, near: Near) -> None:
        """Keep the neighbours of a track; those not asked for longest go."""
        with self._lock:
            self._held[row] = near
            if len(self._held) > _HELD:
                self._held.popitem(last=False)

    def nearest(
        self,
        model: Model,
        row: int,
        products: NDArray[np.float32],
        count: int = NEAREST,
        by_sound: int = NEAREST_BY_SOUND,
    ) -> Near:
        """Return exactly the nearest tracks of one track.

        Parameters
        ----------
        products : float32 [items], of its direction with all factors; overwritten
        count : most tracks; of a fitted track: most fitted ones
        by_sound : most tracks beside them that were placed by their sound, for a fitted track
        """
        products *= self._inverse
        products[self._without] = -np.inf
        products[row] = -np.inf
        [direction] = self.directions(model, [row])
        if not direction.any():
            return Near(np.empty(0, np.int64), np.empty(0))
        if not model.fitted[row] or not len(self._by_sound):
            return self._exactly(model, direction, _sieved(products, count, model.rank), count)
        sounds = products[self._by_sound]
        products[self._by_sound] = -np.inf
        fitted = self._exactly(model, direction, _sieved(products, count, model.rank), count)
        if not by_sound:
            return fitted
        rows = self._by_sound[_sieved(sounds, by_sound, model.rank)]
        placed = self._exactly(model, direction, rows, by_sound)
        rows = np.concatenate([fitted.rows, placed.rows])
        cosines = np.concatenate([fitted.cosines, placed.cosines])
        order = np.lexsort((rows, -cosines))
        return Near(rows[order], cosines[order])

    def _exactly(
        self, model: Model, direction: NDArray[np.float64], rows: NDArray[np.int64], count: int
    ) -> Near:
        # a product and a row sum, not BLAS: the order of addition must not depend on how many rows there are
        sums = (model.factor_rows[rows] * direction).sum(axis=1)
        cosines = np.round(sums / self.lengths[rows], DECIMALS) + 0.0
        order = np.argsort(-cosines, kind="stable")[:count]  # rows ascend as track ids do: ties by track id
        return Near(rows[order], cosines[order])


def _sieved(approximate: NDArray[np.float32], count: int, rank: int) -> NDArray[np.int64]:
    """Return the rows that can be among the nearest ``count``, ascending; a row at -inf cannot."""
    # rank + 2 roundings as in ``candidates.best``, and those of the inverse length and its product
    least = threshold(approximate, count) - 2.0 * (rank + 5) * UNIT - 2.0 * 10.0**-DECIMALS
    return np.flatnonzero(approximate >= least if np.isfinite(least) else approximate > -np.inf)


_neighbourhoods: WeakKeyDictionary[Model, Neighbourhood] = WeakKeyDictionary()


def neighbourhood(model: Model) -> Neighbourhood:
    """Return the neighbourhood of a model; made once for each, and gone with it."""
    found = _neighbourhoods.get(model)
    if found is None:
        found = _neighbourhoods[model] = Neighbourhood(model)
    return found


def similar(model: Model, row: int, count: int) -> Near:
    """Return the ``count`` tracks nearest to one: fitted ones of a fitted track, else of all.

    Examples
    --------
    >>> model = Model.build("m", np.array([1, 2, 3]), np.array([[1, 0], [1, 1], [-1, 0]], np.float32),
    ...                     np.ones(3, bool), np.ones(3), reg_param=0.1, alpha=1.0)
    >>> similar(model, 0, 2).cosines.tolist()
    [0.707107, -1.0]
    """
    near = neighbourhood(model)
    [products] = score_all(model, near.directions(model, [row]))
    return near.nearest(model, row, products, count, by_sound=0)
