"""Rows and vectors as 8-bit integers, and their products, some tiles of rows at a time.

The products come from NumKong, whose kernels use the integer units that a processor has.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numkong
import numpy as np
from numpy.typing import NDArray

LOOKED_AT = 2**18
"""Products looked at together: 1 MB, about what stays in the cache beside a tile."""
NEVER = np.iinfo(np.int32).min
"""In the place of the product of a row that is excluded."""
_GROUPS = 8  # groups of rows per row counted, where a bound on the greatest will do
_UP = 1.0 + 1e-12  # more than the roundings of a length in float64

Pairs = tuple[NDArray[np.int64], NDArray[np.int64]]
"""Vectors and rows or places, as many."""


class Tile:
    """Some rows as integers, at one scale.

    Parameters
    ----------
    rows : float32 [m, rank]
    width : at least m: so many products there are, the last ones 0

    Attributes
    ----------
    rows : how many
    lengths : float64 [2, rows], of each rounded row, and of what was cut off
    bounds : scale, and the greatest of both lengths
    """

    __slots__ = ("_packed", "bounds", "lengths", "rows")

    def __init__(self, rows: NDArray[np.float32], width: int) -> None:
        wide = rows.astype(np.float64)
        whole_numbers, [[scale]] = _rounded(wide, None)
        self.rows = len(rows)
        near = scale * whole_numbers
        self.lengths = np.stack((_lengths(near), _lengths(wide - near)))
        self.bounds = scale, *self.lengths.max(axis=1)
        padded = np.zeros((width, rows.shape[1]), np.int8)
        padded[: len(rows)] = whole_numbers
        self._packed = numkong.dots_pack(padded, dtype="int8")

    def products(self, vectors: NDArray[np.int8], out: numkong.Tensor) -> None:
        """Write the products with vectors, int32 [v, width]."""
        numkong.dots_packed(vectors, self._packed, out=out)


class Rounded:
    """Vectors as integers.

    Attributes
    ----------
    whole_numbers : int8 [v, rank]
    scales : float64 [v, 1]
    """

    __slots__ = ("_cut_lengths", "_lengths", "scales", "whole_numbers")

    def __init__(self, vectors: NDArray[np.float64]) -> None:
        whole_numbers, self.scales = _rounded(vectors, 1)
        self.whole_numbers = whole_numbers.astype(np.int8)
        self._lengths = _lengths(vectors)
        # a product and its scale are rounded too
        self._cut_lengths = _lengths(vectors - self.scales * whole_numbers) + 1e-15 * self._lengths

    def units_and_off(self, bounds: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return what 1 in a product is worth, and how much it is off at most: both [v, tiles].

        Parameters
        ----------
        bounds : [3, tiles], see ``Tile``
        """
        scale, longest, cut = bounds
        off = longest * self._cut_lengths[:, None] + cut * self._lengths[:, None]
        return scale * self.scales, off

    def off(self, lengths: NDArray[np.float64], of: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return how much products of single rows are off at most: float64 [m].

        Parameters
        ----------
        lengths : [2, m], see ``Tile``
        of : int64 [m], the vector of each product
        """
        near, cut = lengths
        found: NDArray[np.float64] = near * self._cut_lengths.take(of) + cut * self._lengths.take(of)
        return found


class Workplace:
    """Memory for the products of some vectors with the rows of some tiles.

    Attributes
    ----------
    products : int32 [tiles, vectors, width]
    mask : bool, of the same shape
    """

    __slots__ = ("_n", "_tensors", "mask", "products")

    def __init__(self, n: int, width: int, vectors: int) -> None:
        tiles = max(1, min(-(-n // width), LOOKED_AT // (width * vectors)))
        self._n = n
        self.products = np.empty((tiles, vectors, width), np.int32)
        self.mask = np.empty(self.products.shape, bool)
        self._tensors = [numkong.from_dlpack(tile) for tile in self.products]

    def fill(
        self, tiles: Sequence[Tile], vectors: NDArray[np.int8], gone: Pairs
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
                products[-1, :, width - beyond :] = NEVER
            if end > begin:
                at, place = np.divmod(gone[1][begin:end] - first * width, width)
                products[at, gone[0][begin:end], place] = NEVER
            yield first, products


def of_groups(products: NDArray[np.int32], count: int) -> NDArray[np.int32]:
    """Return the greatest products of groups of rows: int32 [tiles, vectors, groups] of [..., width].

    There are ``_GROUPS`` groups or more for each of ``count``, where there are so many rows. A few rows at
    the end of a tile may be left out.
    """
    tiles, _, width = products.shape
    fold = 1
    while 2 * fold <= width and tiles * width >= 2 * fold * _GROUPS * count:
        fold *= 2
    cut = products[:, :, : width - width % fold]
    greatest: NDArray[np.int32] = cut.reshape(*cut.shape[:2], fold, -1).max(axis=2)
    return greatest


def greatest_at(rows: NDArray[Any], place: int) -> NDArray[Any]:
    """Return the number of each row that comes at this place, the greatest at 1."""
    at = rows.shape[1] - place
    return np.partition(rows, at, axis=1)[:, at]


def _rounded(rows: NDArray[np.float64], axis: int | None) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return rows as whole numbers of -127 to 127, and the scale of each row, or of all."""
    scale = np.abs(rows).max(axis=axis, keepdims=True) / 127.0
    scale[scale == 0.0] = 1.0
    return np.rint(rows / scale), scale


def _lengths(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the length of each row, rounded up."""
    found: NDArray[np.float64] = np.sqrt(np.einsum("ij,ij->i", rows, rows)) * _UP
    return found
