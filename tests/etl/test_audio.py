"""Decoding: what is accepted, what is refused, and why."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from etl.audio import SAMPLE_RATE_HZ, read_clip, waveform_peaks
from schemas.errors import UnreadableAudio


def test_every_broken_file_is_refused_with_a_reason(sample_data: Path) -> None:
    files = [path for path in (sample_data / "broken-audio").iterdir() if path.name != "SOURCE.txt"]
    assert len(files) >= 9
    for path in files:
        with pytest.raises(UnreadableAudio) as refusal:
            read_clip(path)
        assert len(str(refusal.value)) > 10, path.name


def test_an_html_page_named_mp3_is_called_an_html_page(sample_data: Path) -> None:
    with pytest.raises(UnreadableAudio, match="HTML page"):
        read_clip(sample_data / "broken-audio" / "derived-html-error-page.mp3")


def test_a_cut_mp3_is_refused_though_its_header_states_the_full_length(
    tmp_path: Path, sample_data: Path
) -> None:
    whole = (sample_data / "fma-audio" / "000002.mp3").read_bytes()
    cut = tmp_path / "cut.mp3"
    cut.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UnreadableAudio, match="cut: decodes to 1"):
        read_clip(cut)


def test_real_clips_decode_to_their_length(sample_data: Path) -> None:
    paths = [
        *sorted((sample_data / "fma-audio").glob("*.mp3"))[:3],
        sample_data / "cc-music-clips" / "cc001.mp3",
    ]
    for path in paths:
        clip = read_clip(path, (30.0,))
        assert abs(clip.length_ms - 30_000) < 150
        assert abs(len(clip.samples) - clip.length_ms * SAMPLE_RATE_HZ / 1000) < 50


@pytest.mark.parametrize(("rate_hz", "channels"), [(44_100, 2), (48_000, 1), (22_050, 1), (32_000, 6)])
def test_any_rate_and_channels_become_mono_at_22050(tmp_path, write_tone, rate_hz, channels) -> None:
    clip = read_clip(write_tone(tmp_path / "tone.wav", rate_hz=rate_hz, channels=channels))
    reference = read_clip(write_tone(tmp_path / "reference.wav", rate_hz=22_050))
    assert clip.samples.dtype == np.float32
    assert clip.length_ms == 6000
    middle = slice(2000, 100_000)
    assert len(clip.samples) == len(reference.samples)
    np.testing.assert_allclose(clip.samples[middle], reference.samples[middle], atol=2e-4)


def test_silence_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "silence.wav"
    soundfile.write(path, np.full(6 * 8000, 1e-5), 8000)
    with pytest.raises(UnreadableAudio, match="silent"):
        read_clip(path)


def test_short_missing_and_not_finite_files_are_refused(tmp_path: Path, write_tone) -> None:
    with pytest.raises(UnreadableAudio, match="too short"):
        read_clip(write_tone(tmp_path / "short.wav", length_s=4.9))
    with pytest.raises(UnreadableAudio, match="cannot be opened"):
        read_clip(tmp_path / "none.mp3")
    broken = np.full(6 * 8000, 0.1)
    broken[100] = np.nan
    soundfile.write(tmp_path / "nan.wav", broken, 8000, subtype="FLOAT")
    with pytest.raises(UnreadableAudio, match="not numbers"):
        read_clip(tmp_path / "nan.wav")


def test_a_length_far_from_each_expected_one_is_refused(tmp_path: Path, write_tone) -> None:
    path = write_tone(tmp_path / "tone.wav", length_s=10.0)
    assert read_clip(path, (30.0, 10.5)).length_ms == 10_000
    with pytest.raises(UnreadableAudio, match="instead of 30 s or 168 s"):
        read_clip(path, (30.0, 168.0))


@given(st.integers(200, 5000), st.floats(0.01, 1.0))
def test_peaks_are_200_values_with_the_loudest_at_255(length: int, level: float) -> None:
    samples = (level * np.sin(np.arange(length) * 0.37)).astype(np.float32)
    peaks = waveform_peaks(samples)
    assert len(peaks) == 200
    assert max(peaks) == 255
    assert min(peaks) >= 0


def test_peaks_follow_the_envelope() -> None:
    samples = np.linspace(0, 1, 20_000, dtype=np.float32)
    assert waveform_peaks(samples, 4) == [64, 127, 191, 255]
