"""The report's arithmetic: quantiles, principal components, classes of lengths."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
_CLASSES = 40
_WIDTHS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1_800, 3_600)


def quantiles(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the quantiles 5, 25, 50, 75 and 95 % of each column: float64 [5, features]."""
    found: NDArray[np.float64] = np.quantile(vectors, QUANTILES, axis=0)
    return found


@dataclass(frozen=True, slots=True)
class Components:
    """The first two principal components.

    Attributes
    ----------
    scores : float64 [vectors, 2]
    axes : float64 [2, features], of length 1; the entry of largest size is positive
    explained : share of the variance, each 0 to 1
    """

    scores: NDArray[np.float64]
    axes: NDArray[np.float64]
    explained: tuple[float, float]


def principal_components(vectors: NDArray[np.float64]) -> Components | None:
    """Return the principal components of float64 [vectors, features].

    None when there are fewer than three vectors or two features, or nothing varies.
    """
    if vectors.shape[0] < 3 or vectors.shape[1] < 2:
        return None
    centred = vectors - vectors.mean(axis=0)
    values, columns = np.linalg.eigh(centred.T @ centred)
    total = float(values.sum())
    if not total > 0:
        return None
    axes = columns[:, [-1, -2]].T
    # an axis has no direction of its own: fix one, so that the same catalogue gives the same map
    largest = np.abs(axes).argmax(axis=1)
    axes = axes * np.where(axes[[0, 1], largest] < 0, -1.0, 1.0)[:, None]
    first, second = (max(0.0, float(values[k])) / total for k in (-1, -2))
    return Components(centred @ axes.T, axes, (first, second))


def window(scores: NDArray[np.float64]) -> tuple[NDArray[np.float64], int]:
    """Return the part of the plane to draw, float64 [2 axes, 2 ends], and how many points lie outside.

    A few tracks far from all others would press these into one spot. All but the outermost 0.5 % on
    each side are inside, and what lies within a quarter of their span around them.
    """
    low, high = np.quantile(scores, (0.005, 0.995), axis=0)
    margin = 0.25 * (high - low)
    low, high = np.maximum(scores.min(axis=0), low - margin), np.minimum(scores.max(axis=0), high + margin)
    outside = int(((scores < low) | (scores > high)).any(axis=1).sum())
    rim = np.maximum(0.04 * (high - low), 1e-9)
    return np.stack([low - rim, high + rim], axis=1), outside


@dataclass(frozen=True, slots=True)
class Histogram:
    """Counts in classes of equal width; ``beyond`` lie above the last edge.

    Attributes
    ----------
    edges : seconds, ascending, one more than ``counts``
    """

    edges: list[int]
    counts: list[int]
    beyond: int


def length_quantiles(lengths: Mapping[int, int], shares: Sequence[float]) -> list[int]:
    """Return the lengths that ``shares`` of the tracks do not exceed, in whole seconds.

    Parameters
    ----------
    lengths : number of tracks by seconds, ascending, not empty
    shares : 0 to 1
    """
    seconds = np.fromiter(lengths, np.int64, len(lengths))
    reached = np.cumsum(np.fromiter(lengths.values(), np.int64, len(lengths)))
    wanted = np.ceil(np.asarray(shares) * reached[-1]).clip(1)
    return [int(each) for each in seconds[np.searchsorted(reached, wanted)]]


def histogram(lengths: Mapping[int, int]) -> Histogram:
    """Return at most about 40 classes of round width, up to the length that 99 % do not exceed."""
    least, most = length_quantiles(lengths, (0.0, 0.99))
    width = next((each for each in _WIDTHS_S if most + 1 - least <= each * _CLASSES), _WIDTHS_S[-1])
    first, last = least // width, most // width
    counts = [0] * (last - first + 1)
    for second, tracks in lengths.items():
        if second // width <= last:
            counts[second // width - first] += tracks
    edges = [number * width for number in range(first, last + 2)]
    return Histogram(edges, counts, sum(lengths.values()) - sum(counts))
