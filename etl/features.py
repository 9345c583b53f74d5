"""The feature vector of one file: timbre, shape of the spectrum, harmony and rhythm, summarised over time.

The families are librosa's, computed from one short-time Fourier transform in float32; tests hold each to
librosa's own function. docs/etl.md describes every number.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from etl import mfcc, spectral, tempo
from etl.audio import Samples, read_clip
from etl.spectrum import MELS, decibels, frame_count, magnitude_blocks, mel_power
from schemas.errors import UnreadableAudio

VERSION = "mfcc20-spectral-chroma-tempo-sr22050-v2"
NAMES: tuple[str, ...] = (*mfcc.NAMES, *spectral.NAMES, *tempo.NAMES)


@dataclass(frozen=True, slots=True)
class Extracted:
    """What one file gives.

    Attributes
    ----------
    vector : float64 [115], finite, in the order of ``NAMES``; float64 [0] when it was not analysed
    peaks : 200 values 0..255 over the whole file
    length_ms : decoded length
    """

    vector: NDArray[np.float64]
    peaks: list[int]
    length_ms: int


def extract(path: Path, expected_s: tuple[float, ...] = (), *, analyse: bool = True) -> Extracted:
    """Return the features of one file.

    Parameters
    ----------
    path, expected_s : as in ``etl.audio.read_clip``
    analyse : False: decode and check only; the vector is empty

    Raises
    ------
    UnreadableAudio
        See ``etl.audio.read_clip``; also when memory does not suffice, or a feature is not finite.
    """
    try:
        clip = read_clip(path, expected_s, analyse=analyse)
        vector = describe(clip.samples) if analyse else np.zeros(0)
    except MemoryError as error:
        raise UnreadableAudio("needs more memory than one file may take") from error
    if not np.isfinite(vector).all():
        raise UnreadableAudio("its features are not finite")
    return Extracted(vector, clip.peaks, clip.length_ms)


def describe(samples: Samples) -> NDArray[np.float64]:
    """Return float64 [115] of mono samples at 22,050 Hz, at least 4,096, of magnitudes up to 1e6."""
    frames = frame_count(len(samples))
    mel = np.empty((frames, MELS), dtype=np.float32)
    shape = spectral.SpectralShape(frames)
    power = np.empty(0, dtype=np.float32)
    for where, magnitude in magnitude_blocks(samples):
        if power.shape != magnitude.shape:
            power = np.empty_like(magnitude)
        np.square(magnitude, out=power)
        mel_power(power, out=mel[where])
        shape.add(where, magnitude, power)
    mel_db = decibels(mel)
    return np.concatenate(
        [
            mfcc.summarise(mfcc.coefficients(mel_db)),
            spectral.summarise(shape.values(samples)),
            tempo.summarise(mel_db),
        ]
    )
