"""Which rows can have the greatest products with a vector: all that can, and few others, from 8-bit integers.

With y a row, x a vector, and q, p their roundings to 8 bits at the scales s and t, the product is

    y'x = s t q'p + (s q)'(x - t p) + (y - s q)'x

so by Cauchy and Schwarz ``s t q'p`` is off by at most ``|s q| |x - t p| + |y - s q| |x|``. The norms on the
right are those of the roundings that were really made. Integers are exact: which rows are found depends on
no order of addition, batch or machine. Rows stand in order of their greatest number, and each tile has a
scale and a bound of its own: so each row has nearly the scale that suits it best.

Products are looked at once, while they are in the cache, and not kept. What the wanted rows will reach is
guessed from a sample. If they turn out to reach less, all rows are looked at again with what was then found
to be surely reached, so a guess decides about time alone.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from math import ceil, sqrt
from threading import Lock

import numkong
import numpy as np
from numpy.typing import NDArray

from recommender.tiles import NEVER, Pairs, Rounded, Tile, Workplace, greatest_at, of_groups

# rows that share a scale: the products of one vector must not begin a multiple of 4 kB after those of the one
# before, or all fall into a few sets of the cache, and the product takes twice the time
_TILE = 8_176
_SAMPLED, _SAMPLE = 8, 8_192  # of so many rows one, but so many at most, to guess what the wanted ones reach
_SURE = 3.0  # standard deviations by which the guess is lower than what is likely
_MOST = np.iinfo(np.int32).max
_KEPT = 2  # workplaces kept for the next vectors


class Sieve:
    """The rows of one matrix, ready to be sifted.

    Parameters
    ----------
    rows : float32 [n, rank], finite
    """

    def __init__(self, rows: NDArray[np.float32]) -> None:
        self.n = len(rows)
        self._order = np.argsort(-np.abs(rows).max(axis=1), kind="stable")
        self._places = _inverse(self._order, self.n)
        self._width = min(_TILE, self.n)
        starts = range(0, self.n, self._width)
        self._tiles = [Tile(rows[self._order[at : at + self._width]], self._width) for at in starts]
        self._bounds = np.array([tile.bounds for tile in self._tiles]).T
        # of each place, the length of the rounded row and of what was cut off
        self._lengths = np.concatenate([tile.lengths for tile in self._tiles], axis=1)
        # not of the first tile: a few rows can be so long that its scale says nothing of others
        self._rest = self.n - self._width
        sampled = self._order[self._width :: max(_SAMPLED, -(-self._rest // _SAMPLE))]
        self._sample = Tile(rows[sampled], len(sampled)) if len(sampled) else None
        self._sampled = _inverse(sampled, self.n)
        self._free: list[Workplace] = []
        self._lock = Lock()

    def contenders(
        self, vectors: NDArray[np.float64], count: int, slack: float, excluded: Pairs | None = None
    ) -> NDArray[np.int64]:
        """Return all rows that can be among the greatest ``count`` of each vector, and few others.

        Parameters
        ----------
        vectors : float64 [v, rank], finite
        count : at least 1
        slack : how much less than the count-th greatest product still counts
        excluded : for vector ``excluded[0][i]`` row ``excluded[1][i]`` is never found, but the next best

        Returns
        -------
        int64 [c], ascending: row + vector * n
        """
        gone = (np.empty(0, np.int64),) * 2 if excluded is None else excluded
        small = Rounded(vectors)
        found, surely, guess = self._beyond(self._guess(small, count, gone), small, count, slack, gone)
        if (low := np.flatnonzero(surely < guess)).size:
            # of these too little was found; what was found reaches ``surely``, so now all of it is
            number = _inverse(low, len(vectors))[gone[0]]
            left = number >= 0
            more, _, _ = self._beyond(
                surely[low], Rounded(vectors[low]), count, slack, (number[left], gone[1][left])
            )
            of, rows = np.divmod(more, self.n)
            found = found[~np.isin(found // self.n, low)]
            found = np.concatenate([found, low[of] * self.n + rows])
        found.sort()
        return found

    def _beyond(
        self, reach: NDArray[np.float64], small: Rounded, count: int, slack: float, gone: Pairs
    ) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
        """Return the contenders among all that can exceed ``reach``, what is surely reached, and ``reach``.

        ``reach`` comes back greater where the first tiles, which hold the greatest rows, reach more.
        """
        found = _Found(small, self._bounds, self._lengths, self._width)
        with self._workplace(len(reach)) as workplace:
            for first, products in workplace.fill(self._tiles, small.whole_numbers, self._excluded(gone)):
                if not first:
                    reach = np.maximum(reach, found.reached_first(products, count))
                    found.aim(reach - slack)
                found.look(first, products, workplace.mask[: len(products)])
        found.gather()
        surely = found.reached(count)
        of, places = found.those(surely - slack)
        return of * self.n + self._order[places], surely, reach

    def _guess(self, small: Rounded, count: int, gone: Pairs) -> NDArray[np.float64]:
        """Return what ``count`` products of each vector are likely to reach surely, judging by a sample."""
        if self._sample is None:
            return np.full(len(small.scales), -np.inf)
        size = self._sample.rows
        share = size / self._rest
        place = max(1, ceil(count * share + _SURE * sqrt(count * share * (1.0 - share))))
        if place >= size:
            return np.full(len(small.scales), -np.inf)
        products = np.empty((len(small.scales), size), np.int32)
        self._sample.products(small.whole_numbers, numkong.from_dlpack(products))
        at = self._sampled[gone[1]]
        products[gone[0][at >= 0], at[at >= 0]] = NEVER
        [of_sample] = of_groups(products[None], place)
        scale, *_ = self._sample.bounds
        _, off = small.units_and_off(self._bounds)
        likely = greatest_at(of_sample, place) * scale * small.scales[:, 0]
        guess: NDArray[np.float64] = likely - off[:, 1:].max(axis=1)
        return guess

    def _excluded(self, gone: Pairs) -> Pairs:
        """Return vectors and places of what is excluded, by place."""
        places = self._places[gone[1]]
        order = np.argsort(places)
        return gone[0][order], places[order]

    @contextmanager
    def _workplace(self, vectors: int) -> Iterator[Workplace]:
        with self._lock:
            fits = [one for one in self._free if one.products.shape[1] == vectors][:1]
            for one in fits:
                self._free.remove(one)
        workplace = fits[0] if fits else Workplace(self.n, self._width, vectors)
        yield workplace
        with self._lock:
            self._free = [*self._free, workplace][-_KEPT:]


class _Found:
    """What was found for some vectors, by place.

    Parameters
    ----------
    bounds : float64 [3, tiles], and
    lengths : float64 [2, n], by place: see ``Tile``
    width : rows of a tile
    """

    def __init__(
        self, vectors: Rounded, bounds: NDArray[np.float64], lengths: NDArray[np.float64], width: int
    ) -> None:
        units, off = vectors.units_and_off(bounds)
        self._units, self._off = np.ascontiguousarray(units.T), np.ascontiguousarray(off.T)
        self._vectors, self._lengths, self._width = vectors, lengths, width
        self._fresh: list[tuple[int, NDArray[np.int64], NDArray[np.int32]]] = []

    def reached_first(self, products: NDArray[np.int32], count: int) -> NDArray[np.float64]:
        """Return what ``count`` of the first products, int32 [tiles, vectors, width], surely reach."""
        tiles, vectors, _ = products.shape
        greatest = of_groups(products, count)
        surely = greatest * self._units[:tiles, :, None] - self._off[:tiles, :, None]
        surely[greatest == NEVER] = -np.inf
        surely = surely.transpose(1, 0, 2).reshape(vectors, -1)
        if surely.shape[1] <= count:
            return np.full(vectors, -np.inf)
        return greatest_at(surely, count)

    def aim(self, reach: NDArray[np.float64]) -> None:
        """From now on find what can be ``reach``: float64 [vectors]."""
        # one unit less: the division rounds
        bound = np.floor((reach - self._off) / self._units) - 1.0
        self._least = np.clip(bound, NEVER + 1, _MOST).astype(np.int32)

    def look(self, first: int, products: NDArray[np.int32], mask: NDArray[np.bool_]) -> None:
        """Find it in the products of some tiles: int32 [tiles, vectors, width].

        Parameters
        ----------
        mask : memory, of the same shape
        """
        np.greater_equal(products, self._least[first : first + len(products), :, None], out=mask)
        [at] = mask.reshape(-1).nonzero()
        self._fresh.append((first, at, products.reshape(-1).take(at)))

    def gather(self) -> None:
        """Bring together what was found, by vector."""
        vectors = self._units.shape[1]
        cells = []
        for first, at, _ in self._fresh:
            at += first * vectors * self._width
            cells.append(at // self._width)
        cell, at = np.concatenate(cells), np.concatenate([at for _, at, _ in self._fresh])
        values = np.concatenate([values for _, _, values in self._fresh])
        of = cell % vectors
        # short integers are sorted by counting
        order = np.argsort(of.astype(np.min_scalar_type(vectors)), kind="stable")
        self.of, cell = of.take(order), cell.take(order)
        self.places = at.take(order) - (cell - cell // vectors) * self._width
        self._products = values.take(order) * self._units.take(cell)
        # of a single row it is less than of its tile
        self._sharp = self._vectors.off(self._lengths.take(self.places, axis=1), self.of)

    def reached(self, count: int) -> NDArray[np.float64]:
        """Return per vector what ``count`` products surely reach; where fewer were found, no number does."""
        vectors = self._units.shape[1]
        surely = self._products - self._sharp
        starts = np.searchsorted(self.of, np.arange(vectors + 1)).tolist()
        reach = np.full(vectors, -np.inf)
        for vector, (start, end) in enumerate(pairwise(starts)):
            if end - start >= count:
                reach[vector] = greatest_at(surely[None, start:end], count)[0]
        return reach

    def those(self, reach: NDArray[np.float64]) -> Pairs:
        """Return vectors and places of what can be ``reach``: float64 [vectors]."""
        enough = self._products + self._sharp >= reach.take(self.of)
        return self.of[enough], self.places[enough]


def _inverse(order: NDArray[np.int64], n: int) -> NDArray[np.int64]:
    """Return where in ``order`` each number below n stands, -1 for one that does not."""
    found = np.full(n, -1)
    found[order] = np.arange(len(order))
    return found
