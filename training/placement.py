"""Factors for tracks without plays: a ridge map from audio features to the fitted item factors."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_PENALTIES = tuple(10.0**power for power in range(-2, 6))
_LEAST_TRACKS = 10  # fitted tracks with features below which no map is made


@dataclass(frozen=True)
class Features:
    """Audio features of the catalogue.

    Attributes
    ----------
    track_ids : int64 [t], ascending
    scaled : float64 [t, d], standardised, finite
    """

    track_ids: NDArray[np.int64]
    scaled: NDArray[np.float64]


NO_FEATURES = Features(np.empty(0, np.int64), np.empty((0, 0)))


@dataclass(frozen=True)
class Placement:
    """Factors of tracks that nobody has played.

    Attributes
    ----------
    at : int64 [m], which of the given feature rows were placed
    rows : float32 [m, rank]
    penalty : chosen by leave-one-out error; None without a map
    explained : share of the factors' variance explained on left-out tracks; may be negative
    """

    at: NDArray[np.int64]
    rows: NDArray[np.float32]
    penalty: float | None
    explained: float | None


def place(
    features: NDArray[np.float64], row_of: NDArray[np.int64], factors: NDArray[np.float32]
) -> Placement:
    """Map features of tracks without factors to factors.

    The penalty is the one with the least leave-one-out error, computed in closed form from one singular
    value decomposition (Golub, Heath and Wahba 1979). A map that explains nothing on left-out tracks
    (share <= 0) is not used: its factors would be noise.

    Parameters
    ----------
    features : float64 [t, d], standardised
    row_of : int64 [t], row of ``factors``, -1 for a track without factors
    factors : float32 [n, rank]
    """
    known = row_of >= 0
    if known.sum() < _LEAST_TRACKS or known.all():
        return _nothing(factors.shape[1])
    seen, target = features[known], factors[row_of[known]].astype(np.float64)
    centre, mean = seen.mean(axis=0), target.mean(axis=0)
    u, s, vt = np.linalg.svd(seen - centre, full_matrices=False)
    wanted = target - mean
    total = float((wanted**2).sum())
    errors = [_left_out_error(u, s, wanted, penalty) for penalty in _PENALTIES]
    best = int(np.argmin(errors))
    penalty = _PENALTIES[best]
    explained = 1.0 - errors[best] / total if total > 0 else 0.0
    if explained <= 0:
        return _nothing(factors.shape[1], explained)
    coefficients = vt.T @ ((s / (s**2 + penalty))[:, None] * (u.T @ wanted))
    rows = (features[~known] - centre) @ coefficients + mean
    return Placement(np.flatnonzero(~known), rows.astype(np.float32), penalty, explained)


def _left_out_error(
    u: NDArray[np.float64], s: NDArray[np.float64], wanted: NDArray[np.float64], penalty: float
) -> float:
    shrink = s**2 / (s**2 + penalty)
    leverage = (u**2) @ shrink + 1.0 / len(u)
    residual = wanted - u @ (shrink[:, None] * (u.T @ wanted))
    return float(((residual / np.maximum(1e-9, 1.0 - leverage)[:, None]) ** 2).sum())


def _nothing(rank: int, explained: float | None = None) -> Placement:
    return Placement(np.empty(0, np.int64), np.empty((0, rank), np.float32), None, explained)
