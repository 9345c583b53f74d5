"""The shape of the spectrum and of the wave, frame by frame: librosa's descriptors, from one transform.

Magnitudes come in blocks, so that each block is used for everything while it lies in the cache.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from etl.audio import SAMPLE_RATE_HZ, Samples
from etl.spectrum import BINS, CHROMAS, HOP, N_FFT, Floats, bin_hz, chroma_bank, decibels, frame_count

ROLLOFF = 0.85
BANDS = 7
_LOWEST_BAND_HZ = 200.0
HIGHEST_BAND_HZ = 10_000.0
"""Above lies the slope of the resampler, whose valleys are the rounding of float32."""
_QUANTILE = 0.02
_AMIN = 1e-10
_ZERO = 1e-10  # smaller samples count as zero
_RUN = 32  # bins whose sum is taken first in the search for the roll-off
_TINY = np.finfo(np.float32).tiny
_SHAPES = (
    "centroid_hz",
    "bandwidth_hz",
    "rolloff_hz",
    "flatness",
    *(f"contrast_{n}_db" for n in range(BANDS)),
    "zero_crossing_rate",
    "rms_db",
)
_PITCHES = ("c", "cs", "d", "ds", "e", "f", "fs", "g", "gs", "a", "as", "b")
DESCRIPTORS = (*_SHAPES, *(f"chroma_{pitch}" for pitch in _PITCHES))
NAMES: tuple[str, ...] = tuple(f"{name}_{statistic}" for name in DESCRIPTORS for statistic in ("mean", "std"))


class SpectralShape:
    """Descriptors of every frame, filled block by block.

    Parameters
    ----------
    frames : number of frames that will come
    """

    def __init__(self, frames: int) -> None:
        extremes = _bands()[-1].columns.stop
        self._moments = np.empty((frames, 3), dtype=np.float32)
        self._rolloff = np.empty(frames, dtype=np.float32)
        self._flatness = np.empty(frames, dtype=np.float32)
        self._lowest = np.empty((frames, extremes), dtype=np.float32)
        self._highest = np.empty((frames, extremes), dtype=np.float32)
        self._chroma = np.empty((frames, CHROMAS), dtype=np.float32)

    def add(self, where: slice, magnitude: Floats, power: Floats) -> None:
        """Take the frames ``where``: magnitudes and powers, both float32 [frames of the block, 1025]."""
        np.matmul(magnitude, _frequency_powers(), out=self._moments[where])
        self._rolloff[where] = _rolloff(magnitude)
        self._flatness[where] = _flatness(power)
        np.matmul(power, chroma_bank(), out=self._chroma[where])
        for band in _bands():
            ordered = np.sort(magnitude[:, band.bins], axis=1)
            self._lowest[where, band.columns] = ordered[:, : band.extremes]
            self._highest[where, band.columns] = ordered[:, -band.extremes :]

    def values(self, samples: Samples) -> Floats:
        """Return all descriptors: float32 [frames, 25], in the order of ``DESCRIPTORS``."""
        total = np.maximum(self._moments[:, 0], _TINY)
        centroid = self._moments[:, 1] / total
        # rounding may leave less than nothing around a pure tone
        variance = np.maximum(self._moments[:, 2] / total - np.square(centroid), 0.0)
        nyquist = np.float32(SAMPLE_RATE_HZ / 2)
        loudest = self._chroma.max(axis=1, keepdims=True)
        return np.column_stack(
            [
                centroid * nyquist,
                np.sqrt(variance) * nyquist,
                self._rolloff,
                self._flatness,
                decibels(_means(self._highest)) - decibels(_means(self._lowest)),
                zero_crossing_rate(samples),
                rms_db(samples),
                self._chroma / np.maximum(loudest, _TINY),
            ]
        )


def summarise(values: Floats) -> NDArray[np.float64]:
    """Return float64 [50]: mean and standard deviation of each descriptor, float32 [frames, 25]."""
    both = [values.mean(axis=0, dtype=np.float64), values.std(axis=0, dtype=np.float64)]
    return np.stack(both, axis=1).reshape(-1)


def zero_crossing_rate(samples: Samples) -> Floats:
    """Return the share of a frame's samples before which the sign changes: float32 [frames], 0 to 1.

    Source
    ------
    librosa 0.11, ``feature.zero_crossing_rate``: beyond its ends the sound keeps its first and last value.
    """
    negative = samples < -_ZERO
    frames = frame_count(len(samples))
    crossing = np.zeros((frames + 3) * HOP, dtype=np.uint8)
    inside = crossing[N_FFT // 2 + 1 :][: len(samples) - 1]
    np.not_equal(negative[1:], negative[:-1], out=inside.view(np.bool_)[: len(samples) - 1])
    hops = crossing.reshape(-1, HOP)
    # a frame's first sample has none before it
    counts = _frame_sums(hops.sum(axis=1, dtype=np.float32)) - hops[:frames, 0]
    return counts / np.float32(N_FFT)


def rms_db(samples: Samples) -> Floats:
    """Return the level of each frame in decibels of full scale: float32 [frames], -100 at least.

    Source
    ------
    librosa 0.11, ``amplitude_to_db(feature.rms)``: at least 80 below the loudest frame.
    """
    frames = frame_count(len(samples))
    padded = np.zeros((frames + 3) * HOP, dtype=np.float32)
    inside = padded[N_FFT // 2 :]
    inside[: len(samples)] = samples[: len(inside)]
    hops = padded.reshape(-1, HOP)
    energy = np.einsum("ij,ij->i", hops, hops)
    return decibels(_frame_sums(energy) / np.float32(N_FFT))


def _frame_sums(hops: Floats) -> Floats:
    """Return the sum over the four hops of each frame."""
    return hops[:-3] + hops[1:-2] + hops[2:-1] + hops[3:]


def _rolloff(magnitude: Floats) -> Floats:
    """Return the frequency in Hz below which 85 % of the magnitude lies: float32 [frames]."""
    count = len(magnitude)
    rows = np.arange(count)
    runs = magnitude[:, :-1].reshape(count, -1, _RUN)
    sums = np.cumsum(runs @ np.ones(_RUN, dtype=np.float32), axis=1)
    wanted = np.float32(ROLLOFF) * (sums[:, -1:] + magnitude[:, -1:])
    run = np.minimum((sums < wanted).sum(axis=1), sums.shape[1] - 1)
    before = np.where(run > 0, sums[rows, run - 1], np.float32(0.0))
    within = np.cumsum(runs[rows, run], axis=1)
    found = run * _RUN + (before[:, None] + within < wanted).sum(axis=1)
    return np.asarray(bin_hz()[found], dtype=np.float32)


def _flatness(power: Floats) -> Floats:
    """Return the geometric over the arithmetic mean of the powers: float32 [frames], 0 to 1."""
    floored = np.maximum(power, _floor())
    mean = np.full(BINS, 1.0 / BINS, dtype=np.float32)
    arithmetic = floored @ mean
    return np.asarray(np.exp(np.log(floored, out=floored) @ mean) / arithmetic, dtype=np.float32)


def _means(extremes: Floats) -> Floats:
    """Return the mean over the columns of each band: float32 [frames, 7]."""
    return np.stack([extremes[:, band.columns].mean(axis=1) for band in _bands()], axis=1)


@dataclass(frozen=True, slots=True)
class _Band:
    """The bins of an octave band, how many count as peak and as valley, and where those are kept."""

    bins: slice
    extremes: int
    columns: slice


@lru_cache(maxsize=1)
def _floor() -> Floats:
    return np.full(BINS, _AMIN, dtype=np.float32)  # a row: numpy is slow with a number


@lru_cache(maxsize=1)
def _frequency_powers() -> Floats:
    """Return 1, f and f squared of each bin, f from 0 to 1: float32 [1025, 3]."""
    share = np.linspace(0.0, 1.0, BINS)
    return np.stack([np.ones(BINS), share, np.square(share)], axis=1).astype(np.float32)


@lru_cache(maxsize=1)
def _bands() -> tuple[_Band, ...]:
    """Return the bands of the spectral contrast.

    Source
    ------
    Jiang et al., Music type classification by spectral contrast feature, 2002. librosa 0.11,
    ``feature.spectral_contrast``, of the bins up to 10 kHz: neighbours share the bin between them.
    """
    edges = [0.0, *(_LOWEST_BAND_HZ * 2.0**n for n in range(BANDS - 1)), HIGHEST_BAND_HZ]
    found: list[_Band] = []
    column = 0
    for band in range(BANDS):
        inside = np.flatnonzero((bin_hz() >= edges[band]) & (bin_hz() <= edges[band + 1]))
        first, end = int(inside[0]) - (band > 0), int(inside[-1]) + 1
        extremes = max(1, round(_QUANTILE * (end - first)))
        bins = slice(first, end if band == BANDS - 1 else end - 1)
        found.append(_Band(bins, extremes, slice(column, column + extremes)))
        column += extremes
    return tuple(found)
