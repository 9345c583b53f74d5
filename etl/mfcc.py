"""Mel-frequency cepstral coefficients of a clip and their summary: librosa's, from mel bands in decibels."""

from functools import lru_cache

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from etl.audio import Samples
from etl.spectrum import MELS, Floats, decibels, frame_count, magnitude_blocks, mel_power

COEFFICIENTS = 20
NAMES: tuple[str, ...] = tuple(
    f"mfcc_{n:02d}_{statistic}" for statistic in ("mean", "std", "delta_std") for n in range(COEFFICIENTS)
)
_DELTA_WIDTH = 9


def mfcc(samples: Samples) -> Floats:
    """Return the MFCC of mono samples at 22,050 Hz: float32 [20, frames].

    Source
    ------
    librosa 0.11, ``feature.mfcc`` with its defaults: 128 Slaney mel bands, decibels with a range of 80,
    orthonormal DCT-II.
    """
    mel = np.empty((frame_count(len(samples)), MELS), dtype=np.float32)
    for where, magnitude in magnitude_blocks(samples):
        mel_power(np.square(magnitude, out=magnitude), out=mel[where])
    return coefficients(decibels(mel))


def coefficients(mel_db: Floats) -> Floats:
    """Return the cepstrum, float32 [20, frames], of mel bands in decibels, float32 [frames, 128]."""
    return np.ascontiguousarray((mel_db @ _dct_basis()).T)


def summarise(cepstrum: Floats) -> NDArray[np.float64]:
    """Return float64 [60]: means, standard deviations, and standard deviations of the deltas.

    The mean of the deltas is left out: it is the difference of the clip's ends over its length, near 0.

    Parameters
    ----------
    cepstrum : float32 [20, frames], at least 9 frames
    """
    return np.concatenate(
        [
            cepstrum.mean(axis=1, dtype=np.float64),
            cepstrum.std(axis=1, dtype=np.float64),
            delta(cepstrum).std(axis=1, dtype=np.float64),
        ]
    )


def delta(values: Floats) -> Floats:
    """Return the local slope over nine frames: float32, the shape of ``values`` [rows, frames].

    Source
    ------
    librosa 0.11, ``feature.delta``: a line through nine values; at the ends the line through the outermost.
    """
    reach = _DELTA_WIDTH // 2
    inner = values.shape[1] - 2 * reach
    slope = np.zeros((len(values), inner), dtype=np.float32)
    for step in range(1, reach + 1):
        ahead, behind = reach + step, reach - step
        slope += np.float32(step) * (values[:, ahead : ahead + inner] - values[:, behind : behind + inner])
    slope /= np.float32(2 * sum(step * step for step in range(1, reach + 1)))
    return np.pad(slope, ((0, 0), (reach, reach)), mode="edge")


@lru_cache(maxsize=1)
def _dct_basis() -> Floats:
    """Return float32 [128, 20]."""
    basis = scipy.fft.dct(np.eye(MELS), type=2, norm="ortho", axis=0)[:COEFFICIENTS].T
    return np.ascontiguousarray(basis, dtype=np.float32)
