"""Tempo and onsets: librosa's on real clips, and right for a metronome."""

from pathlib import Path

import librosa
import numpy as np
import pytest

from etl import tempo
from etl.audio import SAMPLE_RATE_HZ, read_clip
from etl.spectrum import FRAMES_PER_S, MELS, decibels, frame_count, magnitude_blocks, mel_power


def mel_decibels(sound: np.ndarray) -> np.ndarray:
    """Return the mel bands of a sound in decibels: float32 [frames, 128]."""
    mel = np.empty((frame_count(len(sound)), MELS), dtype=np.float32)
    for where, magnitude in magnitude_blocks(sound):
        mel_power(np.square(magnitude), out=mel[where])
    return decibels(mel)


def test_onsets_and_tempo_are_librosas_on_real_clips(sample_data: Path) -> None:
    for path in sorted((sample_data / "fma-audio").glob("*.mp3")):
        sound = read_clip(path).samples
        strength = tempo.onset_strength(mel_decibels(sound))
        reference = librosa.onset.onset_strength(y=sound, sr=SAMPLE_RATE_HZ)
        np.testing.assert_allclose(strength, reference, atol=1e-4)
        assert tempo.onset_count(strength) == len(librosa.onset.onset_detect(onset_envelope=reference))
        beat = tempo.beat(strength)
        assert beat.bpm == pytest.approx(librosa.feature.tempo(onset_envelope=reference)[0]), path.name
        centred = reference - reference.mean()
        correlated = librosa.feature.tempogram(onset_envelope=centred, win_length=344).mean(axis=1)
        assert abs(beat.strength - correlated[round(60 * FRAMES_PER_S / beat.bpm)]) < 0.01, path.name


def metronome(bpm: float, length_s: float = 30.0) -> np.ndarray:
    """Return short bursts of noise at that rate: float32 at 22,050 Hz."""
    sound = np.zeros(int(length_s * SAMPLE_RATE_HZ), dtype=np.float32)
    burst = np.random.default_rng(1).uniform(-0.5, 0.5, 500).astype(np.float32)
    for start in np.arange(0.5, length_s - 0.1, 60.0 / bpm):
        at = int(start * SAMPLE_RATE_HZ)
        sound[at : at + 500] = burst
    return sound


@pytest.mark.parametrize("bpm", [75.0, 100.0, 120.0, 150.0])
def test_a_metronome_has_its_tempo_and_as_many_onsets(bpm: float) -> None:
    found = dict(zip(tempo.NAMES, tempo.summarise(mel_decibels(metronome(bpm))), strict=True))
    assert found["tempo_log2_bpm"] == pytest.approx(np.log2(bpm), abs=0.04)  # steps of 5 %
    assert found["onsets_per_s"] == pytest.approx(bpm / 60.0, abs=0.05)
    assert found["beat_strength"] > 0.5
    assert found["onset_strength_std"] > found["onset_strength_mean"] > 0


def test_a_beat_returns_and_noise_does_not() -> None:
    noise = np.random.default_rng(4).uniform(-0.3, 0.3, 30 * SAMPLE_RATE_HZ).astype(np.float32)
    beats = tempo.beat(tempo.onset_strength(mel_decibels(metronome(120.0))))
    steady = tempo.beat(tempo.onset_strength(mel_decibels(noise)))
    assert abs(steady.strength) < 0.1
    assert beats.strength > 0.5


def test_without_any_onset_the_tempo_is_the_usual_one() -> None:
    found = tempo.summarise(np.zeros((300, MELS), dtype=np.float32))
    assert 2 ** found[0] == pytest.approx(117.45, abs=0.01)  # of librosa's steps the nearest to 120
    assert found[1:].tolist() == [0.0, 0.0, 0.0, 0.0]


def test_onsets_are_counted_as_librosa_counts_them_in_any_curve() -> None:
    rng = np.random.default_rng(5)
    for length in (217, 400, 1293):
        for _ in range(20):
            curve = (rng.random(length) ** rng.integers(1, 9)).astype(np.float32)
            assert tempo.onset_count(curve) == len(librosa.onset.onset_detect(onset_envelope=curve))
