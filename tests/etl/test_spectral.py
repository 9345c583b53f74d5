"""Descriptors of the spectrum: equal to librosa's on real clips, and right for sounds that are known."""

from pathlib import Path

import librosa
import numpy as np
import pytest

from etl import spectral
from etl.audio import SAMPLE_RATE_HZ, read_clip
from etl.spectrum import bin_hz, frame_count, magnitude_blocks

# largest absolute difference in any frame, and of the mean over a clip
TOLERANCES = {
    "centroid_hz": (0.02, 1e-3),
    "bandwidth_hz": (0.05, 2e-3),
    "rolloff_hz": (10.8, 0.2),  # one bin, in few frames
    "flatness": (3e-4, 5e-6),
    "zero_crossing_rate": (0.0, 0.0),
    "rms_db": (1e-4, 1e-5),
    **{f"contrast_{band}_db": (1.0, 3e-3) for band in range(7)},  # valleys lie near the rounding of float32
    **{f"chroma_{pitch}": (2e-5, 1e-6) for pitch in ("c", "cs", "d", "ds", "e", "f", "fs")},
    **{f"chroma_{pitch}": (2e-5, 1e-6) for pitch in ("g", "gs", "a", "as", "b")},
}


def described(sound: np.ndarray) -> dict[str, np.ndarray]:
    """Return each descriptor of all frames."""
    shape = spectral.SpectralShape(frame_count(len(sound)))
    for where, magnitude in magnitude_blocks(sound):
        shape.add(where, magnitude, np.square(magnitude))
    values = shape.values(sound)
    assert values.dtype == np.float32
    return dict(zip(spectral.DESCRIPTORS, values.T, strict=True))


def librosas(sound: np.ndarray) -> dict[str, np.ndarray]:
    """Return the same from librosa."""
    magnitude = np.abs(librosa.stft(sound))
    low = int((bin_hz() <= spectral.HIGHEST_BAND_HZ).sum())
    contrast = librosa.feature.spectral_contrast(S=magnitude[:low], freq=bin_hz()[:low])
    chroma = librosa.feature.chroma_stft(S=np.square(magnitude), tuning=0.0)
    return {
        "centroid_hz": librosa.feature.spectral_centroid(S=magnitude)[0],
        "bandwidth_hz": librosa.feature.spectral_bandwidth(S=magnitude)[0],
        "rolloff_hz": librosa.feature.spectral_rolloff(S=magnitude, roll_percent=0.85)[0],
        "flatness": librosa.feature.spectral_flatness(S=magnitude)[0],
        "zero_crossing_rate": librosa.feature.zero_crossing_rate(sound)[0],
        "rms_db": librosa.amplitude_to_db(librosa.feature.rms(y=sound)[0]),
        **{f"contrast_{band}_db": values for band, values in enumerate(contrast)},
        **{name: chroma[n] for n, name in enumerate(spectral.DESCRIPTORS[-12:])},
    }


def test_every_descriptor_is_librosas_on_real_clips(sample_data: Path) -> None:
    clips = sorted((sample_data / "fma-audio").glob("*.mp3"))
    clips += sorted((sample_data / "cc-music-clips").glob("*.mp3"))[3::4]
    assert len(clips) == 15
    for path in clips:
        sound = read_clip(path).samples
        found, reference = described(sound), librosas(sound)
        assert found.keys() == reference.keys() == TOLERANCES.keys()
        for name, (anywhere, mean) in TOLERANCES.items():
            difference = found[name].astype(np.float64) - reference[name]
            assert np.abs(difference).max() <= anywhere, (path.name, name)
            assert abs(difference.mean()) <= mean, (path.name, name)


def tone(hz: float, level: float = 0.5, length_s: float = 5.0) -> np.ndarray:
    """Return a sine at 22,050 Hz: float32."""
    t = np.arange(int(length_s * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    return (level * np.sin(2 * np.pi * hz * t)).astype(np.float32)


@pytest.mark.parametrize(("hz", "pitch"), [(440.0, "a"), (261.63, "c"), (1108.73, "cs"), (3729.31, "as")])
def test_a_tone_has_its_frequency_pitch_and_level(hz: float, pitch: str) -> None:
    inner = slice(4, -4)  # the ends hear the sound begin and stop
    found = {name: values[inner] for name, values in described(tone(hz)).items()}
    np.testing.assert_allclose(found["centroid_hz"], hz, atol=5)
    assert found["bandwidth_hz"].max() < 60
    np.testing.assert_allclose(found["rolloff_hz"], hz, atol=22)
    assert found["flatness"].max() < 1e-3
    np.testing.assert_allclose(found["zero_crossing_rate"], 2 * hz / SAMPLE_RATE_HZ, atol=1e-3)
    np.testing.assert_allclose(found["rms_db"], 20 * np.log10(0.5 / np.sqrt(2)), atol=0.1)
    chroma = np.stack([found[name] for name in spectral.DESCRIPTORS[-12:]])
    assert set(np.array(spectral.DESCRIPTORS[-12:])[chroma.argmax(axis=0)]) == {f"chroma_{pitch}"}


def test_white_noise_has_the_flatness_of_an_exponential_distribution() -> None:
    sound = np.random.default_rng(2).standard_normal(300_000).astype(np.float32) * np.float32(0.1)
    found = described(sound)
    assert abs(found["flatness"].mean() - np.exp(-np.euler_gamma)) < 5e-3
    assert abs(found["centroid_hz"].mean() - SAMPLE_RATE_HZ / 4) < 50
    assert abs(found["rolloff_hz"].mean() - 0.85 * SAMPLE_RATE_HZ / 2) < 50
    assert abs(found["zero_crossing_rate"].mean() - 0.5) < 5e-3


def test_the_summary_holds_mean_and_deviation_of_each_descriptor_in_turn() -> None:
    values = np.random.default_rng(3).uniform(0, 1, (40, len(spectral.DESCRIPTORS))).astype(np.float32)
    named = dict(zip(spectral.NAMES, spectral.summarise(values), strict=True))
    assert len(named) == 50
    for column, name in enumerate(spectral.DESCRIPTORS):
        assert named[f"{name}_mean"] == pytest.approx(values[:, column].mean(), rel=1e-6)
        assert named[f"{name}_std"] == pytest.approx(values[:, column].std(), rel=1e-5)
