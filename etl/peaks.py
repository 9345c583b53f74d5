"""The waveform of a whole file as a few numbers for the player, in little memory however long it is."""

import numpy as np
from numpy.typing import NDArray

PEAKS = 200
STRETCH_MAX = 4_096
"""Frames of the longest stretch: blocks handed to ``Envelope.add`` are multiples of it, but for the last."""
_STRETCHES_PER_PEAK = 16


class Envelope:
    """Largest magnitude of each stretch of a sound that arrives in blocks.

    Parameters
    ----------
    frames : how many the header states; only the length of a stretch depends on it
    """

    def __init__(self, frames: int) -> None:
        wanted = max(1, min(frames // (PEAKS * _STRETCHES_PER_PEAK), STRETCH_MAX))
        self._stretch = 1 << (wanted.bit_length() - 1)
        self._largest: list[NDArray[np.float32]] = []

    def add(self, block: NDArray[np.float32]) -> None:
        """Take the next block: float32 [n], n above 0, a multiple of ``STRETCH_MAX`` but for the last."""
        starts = np.arange(0, len(block), self._stretch)
        self._largest.append(np.maximum.reduceat(np.abs(block), starts))

    def magnitudes(self) -> NDArray[np.float32]:
        """Return the largest magnitude of each stretch: float32 [stretches]; NaN where a sample is."""
        return np.concatenate(self._largest) if self._largest else np.zeros(0, dtype=np.float32)


def peaks(magnitudes: NDArray[np.float32], count: int = PEAKS) -> list[int]:
    """Return ``count`` values 0..255: the largest magnitude of each part, the loudest being 255.

    Parameters
    ----------
    magnitudes : float32 [n], not negative, finite, at least ``count`` of them
    """
    edges = np.linspace(0, len(magnitudes), count + 1).astype(np.int64)[:-1]
    largest = np.maximum.reduceat(magnitudes, edges)
    loudest = float(largest.max())
    if loudest <= 0.0:
        return [0] * count
    return [int(value) for value in np.rint(largest * (255.0 / loudest))]
