"""The short-time Fourier transform, once per clip, in blocks of frames, and the banks that sum its bins.

Frames, window and banks are librosa's at 22,050 Hz; tests hold them together. They are made here because
importing librosa takes each decoding process two seconds and a cache folder for its compiler.
"""

from collections.abc import Iterator
from functools import lru_cache

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from etl.audio import SAMPLE_RATE_HZ, Samples

N_FFT = 2048
HOP = 512
BINS = N_FFT // 2 + 1
MELS = 128
CHROMAS = 12
FRAMES_PER_S = SAMPLE_RATE_HZ / HOP
TOP_DB = 80.0
_AMIN = 1e-10
_BLOCK_FRAMES = 64  # a block and its spectrum stay in the processor's cache
_MEL_GROUPS = 8

Floats = NDArray[np.float32]


def frame_count(samples: int) -> int:
    """Return the number of frames of a sound, the first and the last centred on its ends."""
    return 1 + samples // HOP


def magnitude_blocks(samples: Samples) -> Iterator[tuple[slice, Floats]]:
    """Yield where a block of frames lies and its magnitudes: float32 [frames of the block, 1025].

    The array is used again for the next block.

    Source
    ------
    librosa 0.11, ``stft``: Hann window of 2,048, hop 512, centred, padded with zeros.
    """
    padded = np.pad(samples, N_FFT // 2)
    frames = np.lib.stride_tricks.sliding_window_view(padded, N_FFT)[::HOP]
    window = _window()
    windowed = np.empty((_BLOCK_FRAMES, N_FFT), dtype=np.float32)
    magnitude = np.empty((_BLOCK_FRAMES, BINS), dtype=np.float32)
    for start in range(0, len(frames), _BLOCK_FRAMES):
        block = frames[start : start + _BLOCK_FRAMES]
        count = len(block)
        np.multiply(block, window, out=windowed[:count])
        spectrum = scipy.fft.rfft(windowed[:count], axis=1, overwrite_x=True, workers=1)
        yield slice(start, start + count), np.abs(spectrum, out=magnitude[:count])


def mel_power(power: Floats, out: Floats) -> None:
    """Sum powers [frames, 1025] to 128 mel bands, into ``out`` [frames, 128]."""
    # a band is narrow: eight products of 16 bands and their bins cost a sixth of one with all bins
    for bins, bands, weights in _mel_groups():
        np.matmul(power[:, bins], weights, out=out[:, bands])


def decibels(power: Floats) -> Floats:
    """Return ``10 log10(power)``, at least 80 below the largest value and -100.

    Source
    ------
    librosa 0.11, ``power_to_db`` with its defaults.
    """
    found = np.maximum(power, np.float32(_AMIN))
    np.log10(found, out=found)
    found *= np.float32(10.0)
    np.maximum(found, found.max() - np.float32(TOP_DB), out=found)
    return found


@lru_cache(maxsize=1)
def bin_hz() -> NDArray[np.float64]:
    """Return the centre of each bin in Hz: float64 [1025]."""
    return np.linspace(0.0, SAMPLE_RATE_HZ / 2, BINS)


@lru_cache(maxsize=1)
def mel_bank() -> Floats:
    """Return the weights of the bins in the mel bands: float32 [1025, 128].

    Source
    ------
    Slaney, Auditory Toolbox, 1998: triangles of equal area, linear below 1 kHz, logarithmic above.
    librosa 0.11, ``filters.mel`` with its defaults.
    """
    low, high, per_band = 200.0 / 3.0, 1000.0, np.log(6.4) / 27.0  # Hz per mel; Hz; log Hz per mel
    corner = high / low
    top = corner + np.log(SAMPLE_RATE_HZ / 2 / high) / per_band
    mels = np.linspace(0.0, top, MELS + 2)
    edges = np.where(mels < corner, low * mels, high * np.exp(per_band * (mels - corner)))
    rising = (bin_hz()[:, None] - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - bin_hz()[:, None]) / (edges[2:] - edges[1:-1])
    triangles = np.maximum(0.0, np.minimum(rising, falling))
    return np.asarray(triangles * (2.0 / (edges[2:] - edges[:-2])), dtype=np.float32)


@lru_cache(maxsize=1)
def chroma_bank() -> Floats:
    """Return the weights of the bins in the twelve pitch classes, C first: float32 [1025, 12].

    Source
    ------
    Ellis, Chroma feature analysis and synthesis, 2007: bumps around each pitch of a scale tuned to
    A = 440 Hz, most weight around the fifth octave. librosa 0.11, ``filters.chroma`` with tuning 0.
    """
    hz = np.arange(1, N_FFT) * (SAMPLE_RATE_HZ / N_FFT)
    pitch = CHROMAS * np.log2(hz / 27.5)
    pitch = np.concatenate([[pitch[0] - 1.5 * CHROMAS], pitch])
    width = np.concatenate([np.maximum(np.diff(pitch), 1.0), [1.0]])
    half = CHROMAS / 2
    distance = np.mod(pitch[:, None] - np.arange(CHROMAS) + half, CHROMAS) - half
    bumps = np.exp(-0.5 * (2.0 * distance / width[:, None]) ** 2)
    bumps /= np.linalg.norm(bumps, axis=1, keepdims=True)
    bumps *= np.exp(-0.5 * ((pitch / CHROMAS - 5.0) / 2.0) ** 2)[:, None]
    # counted from A so far
    return np.ascontiguousarray(np.roll(bumps, -3, axis=1)[:BINS], dtype=np.float32)


@lru_cache(maxsize=1)
def _window() -> Floats:
    return np.hanning(N_FFT + 1)[:-1].astype(np.float32)


@lru_cache(maxsize=1)
def _mel_groups() -> tuple[tuple[slice, slice, Floats], ...]:
    bank, width = mel_bank(), MELS // _MEL_GROUPS
    groups = []
    for first in range(0, MELS, width):
        bands = slice(first, first + width)
        used = np.flatnonzero(bank[:, bands].any(axis=1))
        bins = slice(int(used[0]), int(used[-1]) + 1)
        groups.append((bins, bands, np.ascontiguousarray(bank[bins, bands])))
    return tuple(groups)
