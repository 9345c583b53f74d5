"""Audio features of one clip: 20 MFCC, summarised over time, and the peaks of its waveform.

The MFCC are librosa's (`librosa.feature.mfcc` with its defaults at 22,050 Hz), computed in blocks of
frames in float32; a test holds the two together.
"""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import scipy.fft
from numpy.typing import NDArray
from scipy.signal import savgol_filter

from etl.audio import SAMPLE_RATE_HZ, Samples, read_clip, waveform_peaks
from schemas.errors import UnreadableAudio

VERSION = "mfcc20-mean-std-deltastd-sr22050-v1"
COEFFICIENTS = 20
N_FFT = 2048
HOP = 512
MELS = 128
_AMIN = 1e-10
_TOP_DB = 80.0
_BLOCK_FRAMES = 256
_DELTA_WIDTH = 9
NAMES: tuple[str, ...] = tuple(
    f"mfcc_{n:02d}_{statistic}" for statistic in ("mean", "std", "delta_std") for n in range(COEFFICIENTS)
)


@dataclass(frozen=True, slots=True)
class Extracted:
    """What one clip gives.

    Attributes
    ----------
    vector : float64 [60], finite, in the order of ``NAMES``
    peaks : 200 values 0..255
    length_ms : decoded length
    """

    vector: NDArray[np.float64]
    peaks: list[int]
    length_ms: int


def extract(path: Path, expected_s: tuple[float, ...] = ()) -> Extracted:
    """Return the features of one file.

    Raises
    ------
    UnreadableAudio
        See ``etl.audio.read_clip``; also when a feature is not finite.
    """
    clip = read_clip(path, expected_s)
    vector = summarise(mfcc(clip.samples))
    if not np.isfinite(vector).all():
        raise UnreadableAudio("its features are not finite")
    return Extracted(vector, waveform_peaks(clip.samples), clip.length_ms)


def mfcc(samples: Samples) -> NDArray[np.float32]:
    """Return the MFCC of mono samples at 22,050 Hz: float32 [20, frames].

    Source
    ------
    librosa 0.11, ``feature.mfcc``: Hann window of 2,048, hop 512, 128 Slaney mel bands, decibels with a
    range of 80, orthonormal DCT-II.
    """
    window, mel_bank, dct_basis = _constants()
    padded = np.pad(samples, N_FFT // 2)
    frames = np.lib.stride_tricks.sliding_window_view(padded, N_FFT)[::HOP]
    mel = np.empty((len(frames), MELS), dtype=np.float32)
    for start in range(0, len(frames), _BLOCK_FRAMES):
        spectrum = scipy.fft.rfft(frames[start : start + _BLOCK_FRAMES] * window, axis=1)
        mel[start : start + _BLOCK_FRAMES] = (spectrum.real**2 + spectrum.imag**2) @ mel_bank
    decibels = 10.0 * np.log10(np.maximum(mel, np.float32(_AMIN)))
    np.maximum(decibels, decibels.max() - np.float32(_TOP_DB), out=decibels)
    coefficients: NDArray[np.float32] = np.ascontiguousarray((decibels @ dct_basis).T)
    return coefficients


@lru_cache(maxsize=1)
def _constants() -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Return the window [2048], the mel bank [1025, 128] and the DCT basis [128, 20]."""
    # imported here: librosa loads numba, which wants NUMBA_CACHE_DIR set by the program first
    from librosa.filters import mel as mel_filters

    window = np.hanning(N_FFT + 1)[:-1].astype(np.float32)
    bank = mel_filters(sr=SAMPLE_RATE_HZ, n_fft=N_FFT, n_mels=MELS).T
    basis = scipy.fft.dct(np.eye(MELS), type=2, norm="ortho", axis=0)[:COEFFICIENTS].T
    return window, np.ascontiguousarray(bank, np.float32), np.ascontiguousarray(basis, np.float32)


def summarise(coefficients: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return float64 [60]: means, standard deviations, and standard deviations of the deltas.

    Parameters
    ----------
    coefficients : float32 [20, frames], at least 9 frames
    """
    # the local slope over 9 frames: librosa.feature.delta
    delta = savgol_filter(coefficients, _DELTA_WIDTH, polyorder=1, deriv=1, axis=1, mode="interp")
    return np.concatenate(
        [
            coefficients.mean(axis=1, dtype=np.float64),
            coefficients.std(axis=1, dtype=np.float64),
            delta.std(axis=1, dtype=np.float64),
        ]
    )
