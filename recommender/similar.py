"""Tracks that are alike: exactly the nearest by the cosine of item factors.

Factors learned from listeners and factors mapped from audio features lie in one space, but not at one
distance: the map draws tracks together. So the neighbours of a fitted track are fitted ones, and the nearest
of those placed by their sound stand apart. A track that was itself placed by its sound is compared with all.

As in ``candidates`` a sieve finds what can matter, and that is computed in float64 in one fixed order,
rounded to 1e-6; ties by track id.
"""

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from threading import Lock
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from recommender.candidates import DECIMALS, SLACK
from recommender.model import Model
from recommender.sieve import Sieve

NEAREST = 64
"""Neighbours kept of a track."""
NEAREST_BY_SOUND = 16
"""Neighbours kept beside them that were placed by their sound."""
_HELD = 8_192  # tracks whose neighbours are kept: some 1.5 kB each
_LEAST_LENGTH = 1e-12  # shorter factors have no direction
_SLACK = SLACK + 2.0**-20  # a direction is rounded to float32


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


class _Directions:
    """Some rows of a model at length 1, ready to be sifted.

    Parameters
    ----------
    at : int64 [m], ascending, rows of the model
    units : float32 [m, rank]
    """

    def __init__(self, at: NDArray[np.int64], units: NDArray[np.float32]) -> None:
        self.at = at
        self._sieve = Sieve(units) if len(at) else None

    def sifted(
        self, directions: NDArray[np.float64], but: Sequence[int], count: int
    ) -> list[NDArray[np.int64]]:
        """Return for each direction the rows that can be among its nearest, ascending, ``but`` not its own.

        Parameters
        ----------
        directions : float64 [d, rank], of length 1
        but : row of each direction
        """
        if self._sieve is None or not count:
            return [self.at[:0]] * len(but)
        own = np.searchsorted(self.at, but)
        here = np.flatnonzero(self.at[np.minimum(own, len(self.at) - 1)] == but)
        found = self._sieve.contenders(directions, count, _SLACK, (here, own[here]))
        of, rows = np.divmod(found, len(self.at))
        return np.split(self.at[rows], np.searchsorted(of, np.arange(1, len(but))))


class Neighbourhood:
    """The directions of a model's factors, and the neighbours of the tracks asked for last.

    It does not hold the model, so that it goes with it.
    """

    def __init__(self, model: Model) -> None:
        rows = model.factor_rows
        self.lengths: NDArray[np.float64] = np.sqrt(np.einsum("ij,ij->i", rows, rows, dtype=np.float64))
        there = self.lengths > _LEAST_LENGTH
        self._fitted, self._by_sound = (
            _Directions(at, (rows[at] / self.lengths[at, None]).astype(np.float32))
            for at in (np.flatnonzero(there & model.fitted), np.flatnonzero(there & ~model.fitted))
        )
        self._held: OrderedDict[int, Near] = OrderedDict()
        self._lock = Lock()

    def near(self, model: Model, seeds: Iterable[int]) -> dict[int, Near]:
        """Return the neighbours of some tracks, rows of the model; what is not kept is found at once."""
        found: dict[int, Near] = {}
        missing: list[int] = []
        with self._lock:
            for seed in dict.fromkeys(seeds):
                if seed in self._held:
                    found[seed] = self._held[seed]
                    self._held.move_to_end(seed)
                else:
                    missing.append(seed)
        made = self.nearest(model, missing, NEAREST, NEAREST_BY_SOUND)
        with self._lock:
            self._held.update(made)
            while len(self._held) > _HELD:
                self._held.popitem(last=False)
        return found | made

    def nearest(self, model: Model, seeds: Sequence[int], count: int, by_sound: int) -> dict[int, Near]:
        """Return exactly the nearest tracks of some tracks; none of one whose factors have no direction.

        Parameters
        ----------
        count : most tracks; of a fitted track: most fitted ones
        by_sound : most tracks beside them that were placed by their sound, for a fitted track
        """
        found = {seed: Near(np.empty(0, np.int64), np.empty(0)) for seed in seeds}
        those = [seed for seed in seeds if self.lengths[seed] > _LEAST_LENGTH]
        if not those:
            return found
        directions = model.factor_rows[those].astype(np.float64) / self.lengths[those, None]
        fitted = self._fitted.sifted(directions, those, count)
        # a fitted track needs few of them or none
        most = by_sound if model.fitted[those].all() else max(count, by_sound)
        sounds = self._by_sound.sifted(directions, those, most)
        for seed, direction, heard, placed in zip(those, directions, fitted, sounds, strict=True):
            if not model.fitted[seed]:
                both = np.sort(np.concatenate([heard, placed]))
                found[seed] = self._exactly(model, direction, both, count)
                continue
            near = [self._exactly(model, direction, heard, count)]
            if by_sound:
                near.append(self._exactly(model, direction, placed, by_sound))
            rows = np.concatenate([one.rows for one in near])
            cosines = np.concatenate([one.cosines for one in near])
            order = np.lexsort((rows, -cosines))
            found[seed] = Near(rows[order], cosines[order])
        return found

    def _exactly(
        self, model: Model, direction: NDArray[np.float64], rows: NDArray[np.int64], count: int
    ) -> Near:
        # a product and a row sum, not BLAS: the order of addition must not depend on how many rows there are
        sums = (model.factor_rows[rows] * direction).sum(axis=1)
        cosines = np.round(sums / self.lengths[rows], DECIMALS) + 0.0
        order = np.argsort(-cosines, kind="stable")[:count]  # rows ascend as track ids do: ties by track id
        return Near(rows[order], cosines[order])


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
    return neighbourhood(model).nearest(model, [row], count, by_sound=0)[row]
