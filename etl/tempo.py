"""Onsets, tempo and beat of a clip: librosa's, from the mel bands in decibels that the MFCC are made of."""

from dataclasses import dataclass

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from etl.spectrum import FRAMES_PER_S, HOP, N_FFT, Floats

NAMES: tuple[str, ...] = (
    "tempo_log2_bpm",
    "beat_strength",
    "onsets_per_s",
    "onset_strength_mean",
    "onset_strength_std",
)
MAX_BPM = 320.0
_USUAL_BPM = 120.0
_WINDOW = int(8.0 * FRAMES_PER_S)  # eight seconds
_EVERY = 8  # windows overlap: of their mean every eighth tells the same
_FFT = scipy.fft.next_fast_len(2 * _WINDOW - 1, real=True)
_TINY = np.finfo(np.float32).tiny
_RISE = 0.07  # of the strongest onset: by so much a peak stands over its surroundings
_BEFORE, _AFTER = 4, 4  # 0.1 s of surroundings to each side
_APART = 1  # frames that follow a peak and are none


@dataclass(frozen=True, slots=True)
class Beat:
    """Tempo in beats per minute, and the correlation of the onset strength with itself a beat later."""

    bpm: float
    strength: float


def onset_strength(mel_db: Floats) -> Floats:
    """Return the mean rise of the mel bands since the frame before, in decibels: float32 [frames].

    Source
    ------
    librosa 0.11, ``onset.onset_strength``: moved by two frames, so that onsets lie where they are heard.
    """
    rise = np.maximum(np.diff(mel_db, axis=0), 0.0).mean(axis=1)
    shift = N_FFT // (2 * HOP)
    return np.concatenate([np.zeros(1 + shift, dtype=np.float32), rise])[: len(mel_db)]


def beat(strength: Floats) -> Beat:
    """Return the tempo at which the onsets repeat most, weighted by how usual it is.

    Source
    ------
    librosa 0.11, ``feature.tempo``: mean autocorrelation of windows of eight seconds, each relative to its
    largest value, and a log-normal prior around 120 beats per minute with one octave of deviation. The
    strength is taken from the same after the mean is removed: even noise repeats its mean.
    """
    repeated = _autocorrelation(strength)
    lags = np.arange(1, _WINDOW)
    bpm = 60.0 * FRAMES_PER_S / lags
    prior = -0.5 * np.square(np.log2(bpm / _USUAL_BPM))
    prior[bpm >= MAX_BPM] = -np.inf
    best = int(np.argmax(np.log1p(1e6 * repeated[1:]) + prior))
    correlated = _autocorrelation(strength - strength.mean())
    return Beat(float(bpm[best]), float(correlated[1 + best]))


def onset_count(strength: Floats) -> int:
    """Return the number of onsets.

    Source
    ------
    librosa 0.11, ``onset.onset_detect`` with its defaults.
    """
    level = strength - strength.min()
    level = level / (level.max() + _TINY)
    if not level.any():
        return 0
    sums = np.concatenate([[0.0], np.cumsum(level, dtype=np.float64)])
    at = np.arange(len(level))
    low, high = np.maximum(at - _BEFORE, 0), np.minimum(at + _AFTER + 1, len(level))
    around = (sums[high] - sums[low]) / (high - low)
    stands_out = level >= around + _RISE
    stands_out[1:] &= level[1:] >= level[:-1]
    count, last = 0, -1 - _APART
    for position in np.flatnonzero(stands_out).tolist():
        if position > last + _APART:
            count, last = count + 1, position
    return count


def summarise(mel_db: Floats) -> NDArray[np.float64]:
    """Return float64 [5], in the order of ``NAMES``, of mel bands in decibels, float32 [frames, 128]."""
    strength = onset_strength(mel_db)
    found = beat(strength)
    return np.array(
        [
            np.log2(found.bpm),
            found.strength,
            onset_count(strength) * FRAMES_PER_S / len(strength),
            strength.mean(dtype=np.float64),
            strength.std(dtype=np.float64),
        ]
    )


def _autocorrelation(strength: Floats) -> NDArray[np.float64]:
    """Return the mean over windows of their autocorrelation: float64 [344 lags], -1 to 1."""
    padded = np.pad(strength, _WINDOW // 2, mode="linear_ramp", end_values=0.0)
    windows = np.lib.stride_tricks.sliding_window_view(padded, _WINDOW)[: len(strength) : _EVERY]
    hann = np.hanning(_WINDOW + 1)[:-1].astype(np.float32)
    spectrum = scipy.fft.rfft(windows * hann, n=_FFT, axis=1, workers=1)
    repeated = scipy.fft.irfft(np.square(np.abs(spectrum)), n=_FFT, axis=1, workers=1)[:, :_WINDOW]
    largest = np.abs(repeated).max(axis=1, keepdims=True)
    return np.asarray((repeated / np.maximum(largest, _TINY)).mean(axis=0, dtype=np.float64))
