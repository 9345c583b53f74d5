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

The integer products come from NumKong, whose kernels use the integer units that a processor has.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from math import ceil, sqrt
from threading import Lock

import numkong
import numpy as np
from numpy.typing import NDArray

# rows that share a scale: the products of one vector must not begin a multiple of 4 kB after those of the one
# before, or all fall into a few sets of the cache, and the product takes twice the time
_TILE = 8_176
_LOOKED_AT = 2**18  # products looked at together: 1 MB, about what stays in the cache beside a tile
_SAMPLE = 8_192  # rows from which it is guessed what the wanted ones reach
_SURE = 3.0  # standard deviations by which the guess is lower than what is likely
_GROUPS = 8  # groups of the sample per row counted in it
_NEVER = np.iinfo(np.int32).min
_MOST = np.iinfo(np.int32).max
_UP = 1.0 + 1e-12  # more than the roundings of a length in float64
_KEPT = 2  # workplaces kept for the next vectors: allocating one anew costs as much as the products

Pairs = tuple[NDArray[np.int64], NDArray[np.int64]]
"""Vectors and rows, as many."""


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
        self._tiles = [_Tile(rows[self._order[at : at + self._width]], self._width) for at in starts]
        self._bounds = np.array([tile.bounds for tile in self._tiles]).T
        sampled = self._order[:: -(-self.n // _SAMPLE)]
        self._sample = _Tile(rows[sampled], len(sampled))
        self._sampled = _inverse(sampled, self.n)
        self._free: list[_Workplace] = []
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
        small = _Rounded(vectors)
        guess = self._guess(small, count, gone)
        found, surely = self._beyond(guess, small, count, slack, gone)
        if (low := np.flatnonzero(surely < guess)).size:
            # of these too little was found; what was found reaches ``surely``, so now all of it is
            number = _inverse(low, len(vectors))[gone[0]]
            left = number >= 0
            more, _ = self._beyond(
                surely[low], _Rounded(vectors[low]), count, slack, (number[left], gone[1][left])
            )
            of, rows = np.divmod(more, self.n)
            found = found[~np.isin(found // self.n, low)]
            found = np.concatenate([found, low[of] * self.n + rows])
        found.sort()
        return found

    def _beyond(
        self, reach: NDArray[np.float64], small: "_Rounded", count: int, slack: float, gone: Pairs
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Return what of all that can exceed ``reach`` is a contender, and what ``count`` products reach."""
        units, off = small.units_and_off(self._bounds)
        found = _Found(units, off, self._width)
        least = found.least(reach - slack)
        with self._workplace(len(reach)) as workplace:
            for first, products in workplace.fill(self._tiles, small.whole_numbers, self._excluded(gone)):
                found.look(first, products, least, workplace.mask[: len(products)])
        found.gather()
        surely = found.reached(count)
        of, places = found.those(found.least(surely - slack))
        return of * self.n + self._order[places], surely

    def _guess(self, small: "_Rounded", count: int, gone: Pairs) -> NDArray[np.float64]:
        """Return per vector what ``count`` products are likely to reach surely, from those of a sample."""
        size = self._sample.rows
        share = size / self.n
        place = ceil(count * share + _SURE * sqrt(count * share * (1.0 - share)))
        if place >= size:
            return np.full(len(small.scales), -np.inf)
        products = np.empty((len(small.scales), size), np.int32)
        self._sample.products(small.whole_numbers, numkong.from_dlpack(products))
        at = self._sampled[gone[1]]
        products[gone[0][at >= 0], at[at >= 0]] = _NEVER
        fold = 1
        while size >= 2 * fold * _GROUPS * place:
            fold *= 2
        groups = size // fold
        greatest = products[:, : fold * groups].reshape(-1, fold, groups).max(axis=1)
        reached = np.partition(greatest, groups - place, axis=1)[:, groups - place]
        units, _ = small.units_and_off(np.array([self._sample.bounds]).T)
        _, off = small.units_and_off(self._bounds)
        guess: NDArray[np.float64] = reached * units[:, 0] - off.max(axis=1)
        return guess

    def _excluded(self, gone: Pairs) -> Pairs:
        """Return vectors and places of what is excluded, by place."""
        places = self._places[gone[1]]
        order = np.argsort(places)
        return gone[0][order], places[order]

    @contextmanager
    def _workplace(self, vectors: int) -> "Iterator[_Workplace]":
        with self._lock:
            free = self._free.pop() if self._free else None
        if free is None or free.products.shape[1] != vectors:
            free = _Workplace(self.n, self._width, vectors)
        yield free
        with self._lock:
            if len(self._free) < _KEPT:
                self._free.append(free)


class _Tile:
    """Some rows as integers, at one scale.

    Attributes
    ----------
    rows : how many
    bounds : scale, greatest length of a rounded row, greatest length of what was cut off
    """

    __slots__ = ("_packed", "bounds", "rows")

    def __init__(self, rows: NDArray[np.float32], width: int) -> None:
        wide = rows.astype(np.float64)
        whole_numbers, [[scale]] = _rounded(wide, None)
        self.rows = len(rows)
        self.bounds = scale, scale * _longest(whole_numbers), _longest(wide - scale * whole_numbers)
        padded = np.zeros((width, rows.shape[1]), np.int8)
        padded[: len(rows)] = whole_numbers
        self._packed = numkong.dots_pack(padded, dtype="int8")

    def products(self, vectors: NDArray[np.int8], out: numkong.Tensor) -> None:
        """Write the products with vectors, int32 [v, width]."""
        numkong.dots_packed(vectors, self._packed, out=out)


class _Rounded:
    """Vectors as integers.

    Attributes
    ----------
    whole_numbers : int8 [v, rank]
    scales : float64 [v, 1]
    """

    __slots__ = ("_cut_lengths", "_lengths", "scales", "whole_numbers")

    def __init__(self, vectors: NDArray[np.float64]) -> None:
        whole_numbers, self.scales = _rounded(vectors, 1)
        cut = vectors - self.scales * whole_numbers
        self.whole_numbers = whole_numbers.astype(np.int8)
        self._cut_lengths = np.sqrt(np.einsum("ij,ij->i", cut, cut))[:, None] * _UP
        self._lengths = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))[:, None] * _UP

    def units_and_off(self, bounds: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return per vector and tile what 1 in a product is worth, and how much it is off at most: [v, tiles].

        Parameters
        ----------
        bounds : [3, tiles], see ``_Tile``
        """
        scale, longest, cut = bounds
        return scale * self.scales, longest * self._cut_lengths + cut * self._lengths


class _Workplace:
    """Memory for the products of some vectors with the rows of some tiles.

    Attributes
    ----------
    products : int32 [tiles, vectors, width]
    mask : bool, of the same shape
    """

    __slots__ = ("_n", "_tensors", "mask", "products")

    def __init__(self, n: int, width: int, vectors: int) -> None:
        tiles = max(1, min(-(-n // width), _LOOKED_AT // (width * vectors)))
        self._n = n
        self.products = np.empty((tiles, vectors, width), np.int32)
        self.mask = np.empty(self.products.shape, bool)
        self._tensors = [numkong.from_dlpack(tile) for tile in self.products]

    def fill(
        self, tiles: Sequence[_Tile], vectors: NDArray[np.int8], gone: Pairs
    ) -> Iterator[tuple[int, NDArray[np.int32]]]:
        """Yield the products with all rows, some tiles at a time, and the first of these tiles."""
        at_once, _, width = self.products.shape
        starts = range(0, len(tiles), at_once)
        cuts = np.searchsorted(gone[1], [*(first * width for first in starts), self._n]).tolist()
        for first, begin, end in zip(starts, cuts, cuts[1:], strict=False):
            some = tiles[first : first + at_once]
            for tile, out in zip(some, self._tensors, strict=False):
                tile.products(vectors, out)
            products = self.products[: len(some)]
            if (beyond := (first + len(some)) * width - self._n) > 0:
                products[-1, :, width - beyond :] = _NEVER
            if end > begin:
                at, place = np.divmod(gone[1][begin:end] - first * width, width)
                products[at, gone[0][begin:end], place] = _NEVER
            yield first, products


class _Found:
    """What was found for some vectors, by place.

    Parameters
    ----------
    units, off : float64 [vectors, tiles], see ``_Rounded.units_and_off``
    width : rows of a tile
    """

    def __init__(self, units: NDArray[np.float64], off: NDArray[np.float64], width: int) -> None:
        self._units, self._off = np.ascontiguousarray(units.T), np.ascontiguousarray(off.T)
        self._width = width
        self._fresh: list[tuple[int, NDArray[np.int64], NDArray[np.int32]]] = []

    def least(self, reach: NDArray[np.float64]) -> NDArray[np.int32]:
        """Return the least products that can be ``reach``: int32 [tiles, vectors]."""
        # one unit less: the division rounds
        bound = np.floor((reach - self._off) / self._units) - 1.0
        return np.clip(bound, _NEVER + 1, _MOST).astype(np.int32)

    def look(
        self, first: int, products: NDArray[np.int32], least: NDArray[np.int32], mask: NDArray[np.bool_]
    ) -> None:
        """Find what is at least ``least`` in the products of some tiles: int32 [tiles, vectors, width].

        Parameters
        ----------
        mask : memory, of the same shape
        """
        np.greater_equal(products, least[first : first + len(products), :, None], out=mask)
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
        # of so few kinds of numbers they are sorted by counting
        order = np.argsort(of.astype(np.int16), kind="stable")
        self.of, self._cell, self._values = of.take(order), cell.take(order), values.take(order)
        tile = self._cell // vectors
        self.places = at.take(order) - (self._cell - tile) * self._width

    def reached(self, count: int) -> NDArray[np.float64]:
        """Return per vector what ``count`` products surely reach; where fewer were found, no number does."""
        surely = self._values * self._units.take(self._cell) - self._off.take(self._cell)
        sizes = np.bincount(self.of, minlength=self._units.shape[1])
        most = max(count, int(sizes.max()))
        table = np.full((len(sizes), most), -np.inf)
        starts = np.arange(len(sizes)) * most - (np.cumsum(sizes) - sizes)
        table.reshape(-1)[np.arange(len(surely)) + starts.repeat(sizes)] = surely
        return np.partition(table, most - count, axis=1)[:, most - count]

    def those(self, least: NDArray[np.int32]) -> Pairs:
        """Return vectors and places of what is at least ``least``."""
        enough = self._values >= least.take(self._cell)
        return self.of[enough], self.places[enough]


def _inverse(order: NDArray[np.int64], n: int) -> NDArray[np.int64]:
    """Return where in ``order`` each number below n stands, -1 for one that does not."""
    found = np.full(n, -1)
    found[order] = np.arange(len(order))
    return found


def _rounded(rows: NDArray[np.float64], axis: int | None) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return rows as whole numbers of -127 to 127, and the scale of each row, or of all."""
    scale = np.abs(rows).max(axis=axis, keepdims=True) / 127.0
    scale[scale == 0.0] = 1.0
    return np.rint(rows / scale), scale


def _longest(rows: NDArray[np.float64]) -> float:
    """Return the greatest length of a row, rounded up."""
    return float(np.sqrt(np.einsum("ij,ij->i", rows, rows).max())) * _UP
