"""Which rows can have the greatest products with a vector: all that can, and few others, from 8-bit integers.

With y a row, x a vector, and q, p their roundings to 8 bits at the scales s and t, the product is

    y'x = s t q'p + (s q)'(x - t p) + (y - s q)'x

so by Cauchy and Schwarz ``s t q'p`` is off by at most ``|s q| |x - t p| + |y - s q| |x|``. The norms on the
right are those of the roundings that were really made. Integers are exact: which rows are found depends on
no order of addition, batch or machine. Rows stand in order of their greatest number, and each tile has a
scale and a bound of its own: so each row has nearly the scale that suits it best.

The integer products come from NumKong, whose kernels use the integer units that a processor has.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

import numkong
import numpy as np
from numpy.typing import NDArray

_TILE = 16_384  # rows per product: those of 32 vectors are 2 MB, about what a core keeps at hand
_PER_GROUP = 4
_GROUPS = 8  # groups per wanted row in the search for a threshold
_NEVER = np.iinfo(np.int32).min
_UP = 1.0 + 1e-12  # more than the roundings of a length in float64
_KEPT = 2  # workplaces kept for the next vectors: allocating one anew costs more than the products


class Sieve:
    """The rows of one matrix, ready to be sifted.

    Parameters
    ----------
    rows : float32 [n, rank], finite
    """

    def __init__(self, rows: NDArray[np.float32]) -> None:
        n, rank = rows.shape
        self.order = np.argsort(-np.abs(rows).max(axis=1), kind="stable")
        self.places = np.empty(n, np.int64)
        self.places[self.order] = np.arange(n)
        whole = -(-n // _PER_GROUP) * _PER_GROUP
        self.width = min(_TILE, whole)
        self.tiles = -(-n // self.width)
        self._packed: list[numkong.PackedMatrix] = []
        # per tile: its scale, the greatest length of a rounded row, the greatest length of what was cut off
        self.bounds = np.empty((3, self.tiles))
        for tile in range(self.tiles):
            of = rows[self.order[tile * self.width : (tile + 1) * self.width]].astype(np.float64)
            whole_numbers, [[scale]] = _rounded(of, None)
            cut = of - scale * whole_numbers
            self.bounds[:, tile] = scale, scale * _longest(whole_numbers), _longest(cut)
            padded = np.zeros((self.width, rank), np.int8)
            padded[: len(of)] = whole_numbers
            self._packed.append(numkong.dots_pack(padded, dtype="int8"))
        self.n = n
        self._free: list[_Workplace] = []
        self._lock = Lock()

    @contextmanager
    def sift(self, vectors: NDArray[np.float64]) -> "Iterator[Sifted]":
        """Yield the approximate products of all rows with some vectors: float64 [v, rank], finite."""
        workplace = self._workplace(len(vectors))
        whole_numbers, scales = _rounded(vectors, 1)
        cut = vectors - scales * whole_numbers
        cut_lengths = np.sqrt(np.einsum("ij,ij->i", cut, cut)) * _UP
        small = whole_numbers.astype(np.int8)
        peaks = np.empty((len(vectors), self.tiles, self.width // _PER_GROUP), np.int32)
        for tile, (packed, out, groups) in enumerate(
            zip(self._packed, workplace.tensors, workplace.groups, strict=True)
        ):
            numkong.dots_packed(small, packed, out=out)
            if tile == self.tiles - 1:
                workplace.products[tile, :, self.n - tile * self.width :] = _NEVER
            np.maximum.reduce(groups, axis=1, out=peaks[:, tile])
        lengths = np.sqrt(np.einsum("ij,ij->i", vectors, vectors)) * _UP
        scale, longest, of_rows = self.bounds
        off = longest * cut_lengths[:, None] + of_rows * lengths[:, None]
        yield Sifted(self, workplace.products, peaks, scale * scales, off)
        with self._lock:
            if len(self._free) < _KEPT:
                self._free.append(workplace)

    def _workplace(self, vectors: int) -> "_Workplace":
        size = self.tiles * self.width * vectors
        with self._lock:
            free = self._free.pop() if self._free else None
        if free is not None and free.products.shape[1] == vectors:
            return free
        enough = free is not None and len(free.memory) >= size
        return _Workplace(self, vectors, free.memory if free and enough else np.empty(size, np.int32))


class _Workplace:
    """Memory for the products of some vectors with all rows, tile by tile, and how it is seen from outside.

    Attributes
    ----------
    memory : int32, as much as was ever needed
    products : int32 [tiles, vectors, width]
    tensors : of each tile, where NumKong writes
    groups : of each tile, int32 [vectors, _PER_GROUP, groups]
    """

    __slots__ = ("groups", "memory", "products", "tensors")

    def __init__(self, sieve: Sieve, vectors: int, memory: NDArray[np.int32]) -> None:
        shape = (sieve.tiles, vectors, sieve.width)
        self.memory = memory
        self.products = memory[: sieve.tiles * vectors * sieve.width].reshape(shape)
        self.tensors = [numkong.from_dlpack(tile) for tile in self.products]
        self.groups = self.products.reshape(*shape[:2], _PER_GROUP, -1)


class Sifted:
    """Approximate products of all rows with some vectors, and the greatest of each group of rows.

    Valid inside of ``Sieve.sift`` only. A row and a vector that are excluded are never found.
    """

    def __init__(
        self,
        sieve: Sieve,
        products: NDArray[np.int32],
        peaks: NDArray[np.int32],
        units: NDArray[np.float64],
        off: NDArray[np.float64],
    ) -> None:
        self._sieve, self._products, self._peaks = sieve, products, peaks
        self._units, self._off = units, off  # [vectors, tiles]: worth of 1, most that a product is off
        self._stale: list[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]] = []

    def exclude(self, vectors: NDArray[np.int64], rows: NDArray[np.int64]) -> None:
        """Exclude row ``rows[i]`` for vector ``vectors[i]``."""
        tiles, places = np.divmod(self._sieve.places[rows], self._sieve.width)
        self._products[tiles, vectors, places] = _NEVER
        self._stale.append((vectors, tiles, places % self._peaks.shape[2]))

    def allowed(self, vectors: NDArray[np.int64], rows: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Say of each pair whether it is not excluded."""
        tiles, places = np.divmod(self._sieve.places[rows], self._sieve.width)
        allowed: NDArray[np.bool_] = self._products[tiles, vectors, places] != _NEVER
        return allowed

    def contenders(self, count: int, slack: float, vector: int | None = None) -> NDArray[np.int64]:
        """Return all rows that can be among the greatest ``count`` of each vector, and few others.

        Parameters
        ----------
        slack : how much less than the count-th greatest product still counts
        vector : only of this one

        Returns
        -------
        int64 [c], ascending: row + vector * n
        """
        self._refresh()
        those = slice(None) if vector is None else slice(vector, vector + 1)
        units, off, peaks = self._units[those], self._off[those], self._peaks[those]
        reach = self._thresholds(count, those) - slack
        # one unit less: the division rounds
        bound = np.floor((reach[:, None] - off) / units) - 1.0
        least = np.clip(bound, _NEVER + 1, np.iinfo(np.int32).max).astype(np.int32)
        at = np.flatnonzero(peaks >= least[:, :, None])
        of, group = np.divmod(at, peaks.shape[2])
        vectors, tiles = np.divmod(of, peaks.shape[1])
        vectors += those.start or 0
        places, products = self._members(vectors, tiles, group)
        reached = products >= least.reshape(-1)[of, None]
        rows = self._sieve.order[(places + (tiles * self._sieve.width)[:, None])[reached]]
        found: NDArray[np.int64] = rows + (np.repeat(vectors, reached.sum(axis=1)) * self._sieve.n)
        found.sort()
        return found

    def _refresh(self) -> None:
        """Find the peaks anew of groups that lost a row."""
        for vectors, tiles, groups in self._stale:
            self._peaks[vectors, tiles, groups] = self._members(vectors, tiles, groups)[1].max(axis=1)
        self._stale.clear()

    def _members(
        self, vectors: NDArray[np.int64], tiles: NDArray[np.int64], groups: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
        """Return where in their tile the rows of groups stand, and their products: [g, _PER_GROUP]."""
        _, at_once, width = self._products.shape
        places = groups[:, None] + np.arange(0, width, self._peaks.shape[2])
        flat = self._products.reshape(-1)
        return places, flat[((tiles * at_once + vectors) * width)[:, None] + places]

    def _thresholds(self, count: int, those: slice) -> NDArray[np.float64]:
        """Return per vector a number that ``count`` products surely reach, near the greatest such number."""
        values = self._peaks[those]
        vectors, tiles, groups = values.shape
        if tiles * groups < _GROUPS // 2 * count:
            values = np.ascontiguousarray(self._products[:, those].transpose(1, 0, 2))
        else:
            fold = 1
            while groups % (2 * fold) == 0 and tiles * groups >= 2 * fold * _GROUPS * count:
                fold *= 2
            values = values.reshape(vectors, tiles, fold, groups // fold).max(axis=2)
        n = tiles * values.shape[2]
        if n <= count:
            return np.full(vectors, -np.inf)
        surely = values * self._units[those, :, None] - self._off[those, :, None]
        surely[values == _NEVER] = -np.inf
        return np.partition(surely.reshape(vectors, n), n - count, axis=1)[:, n - count]


def _rounded(rows: NDArray[np.float64], axis: int | None) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return rows as whole numbers of -127 to 127, and the scale of each row, or of all."""
    scale = np.abs(rows).max(axis=axis, keepdims=True) / 127.0
    scale[scale == 0.0] = 1.0
    return np.rint(rows / scale), scale


def _longest(rows: NDArray[np.float64]) -> float:
    """Return the greatest length of a row, rounded up."""
    return float(np.sqrt(np.einsum("ij,ij->i", rows, rows).max())) * _UP
