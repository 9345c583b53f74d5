"""The transform and its banks: equal to librosa's."""

import librosa
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etl import spectrum
from etl.audio import SAMPLE_RATE_HZ


def noise(length: int, seed: int = 1) -> np.ndarray:
    """Return white noise: float32 [length]."""
    return np.random.default_rng(seed).uniform(-0.5, 0.5, length).astype(np.float32)


def test_the_banks_are_librosas() -> None:
    mel = librosa.filters.mel(sr=SAMPLE_RATE_HZ, n_fft=spectrum.N_FFT, n_mels=spectrum.MELS)
    np.testing.assert_allclose(spectrum.mel_bank().T, mel, atol=1e-8)
    chroma = librosa.filters.chroma(sr=SAMPLE_RATE_HZ, n_fft=spectrum.N_FFT, tuning=0.0)
    np.testing.assert_allclose(spectrum.chroma_bank().T, chroma, atol=1e-7)
    np.testing.assert_array_equal(spectrum.bin_hz(), librosa.fft_frequencies(sr=SAMPLE_RATE_HZ, n_fft=2048))


@settings(max_examples=10, deadline=None)
@given(st.integers(4_096, 60_000))
def test_magnitudes_are_librosas_at_any_length(length: int) -> None:
    sound = noise(length)
    found = np.concatenate([block.copy() for _, block in spectrum.magnitude_blocks(sound)])
    assert len(found) == spectrum.frame_count(length)
    np.testing.assert_allclose(found.T, np.abs(librosa.stft(sound)), atol=2e-5 * found.max())


def test_the_mel_product_in_groups_is_the_product_with_the_bank() -> None:
    power = np.square(noise(70 * spectrum.BINS).reshape(70, -1))
    found = np.empty((70, spectrum.MELS), dtype=np.float32)
    spectrum.mel_power(power, out=found)
    np.testing.assert_allclose(found, power @ spectrum.mel_bank(), rtol=1e-5)


@pytest.mark.parametrize("scale", [0.0, 1e-30, 1e-6, 1.0, 1e6])
def test_decibels_are_librosas_and_leave_their_argument(scale: float) -> None:
    power = (np.square(noise(500)) * np.float32(scale)).reshape(50, 10)
    before = power.copy()
    np.testing.assert_allclose(spectrum.decibels(power), librosa.power_to_db(power), atol=2e-5)
    np.testing.assert_array_equal(power, before)
