"""Decoding: what is accepted, what is refused, and why."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr

from etl.audio import MAX_ANALYSED_S, SAMPLE_RATE_HZ, read_clip
from schemas.errors import UnreadableAudio

REASONS = {
    "derived-000002-cut-mid-frame.mp3": "cut: decodes to 1.50 s of the 29.98 s",
    "derived-html-error-page.mp3": "undecodable: an HTML page, not audio",
    "derived-random-bytes.mp3": "undecodable: not audio",
    "derived-zero-bytes.mp3": "empty file",
    "mutagen-106-invalid-streaminfo.flac": "undecodable: not audio",
    "mutagen-bad-xing.mp3": "cut: decodes to 0.10 s of the 0.41 s",
    "mutagen-empty.ogg": "too short: decodes to 3.68 s",
    "mutagen-silence-44-s.mp3": "too short: decodes to 3.7",
    "mutagen-too-short.mp3": "undecodable: not audio",
}


def test_every_broken_file_is_refused_for_its_own_reason(sample_data: Path) -> None:
    files = {path.name for path in (sample_data / "broken-audio").iterdir()} - {"SOURCE.txt"}
    assert files == REASONS.keys()
    for name, reason in REASONS.items():
        for analyse in (True, False):
            with pytest.raises(UnreadableAudio) as refusal:
                read_clip(sample_data / "broken-audio" / name, analyse=analyse)
            assert reason in str(refusal.value), name


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


def test_what_is_no_file_is_refused_without_opening_it(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.wav")  # opening it would wait for a writer
    for path in (tmp_path / "pipe.wav", tmp_path):
        with pytest.raises(UnreadableAudio, match="not a file"):
            read_clip(path)


def test_an_unusual_sample_rate_is_refused(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "slow.wav", np.full(2_000, 0.5), 100)
    with pytest.raises(UnreadableAudio, match="unusual sample rate: 100 Hz"):
        read_clip(tmp_path / "slow.wav")


def test_a_file_named_raw_is_undecodable(tmp_path: Path, write_tone) -> None:
    (tmp_path / "tone.raw").write_bytes(write_tone(tmp_path / "tone.wav").read_bytes())
    with pytest.raises(UnreadableAudio, match="undecodable"):
        read_clip(tmp_path / "tone.raw")


def test_blocks_give_what_a_single_read_gives(sample_data: Path) -> None:
    for path in (sample_data / "fma-audio" / "000255.mp3", sample_data / "cc-music-clips" / "cc002.mp3"):
        whole, rate_hz = soundfile.read(path, dtype="float32")
        reference = soxr.resample(whole @ np.full(2, 0.5, np.float32), rate_hz, SAMPLE_RATE_HZ, "soxr_hq")
        np.testing.assert_array_equal(read_clip(path).samples, reference)


def test_without_analysis_the_same_is_told_but_the_samples(tmp_path: Path, write_tone) -> None:
    path = write_tone(tmp_path / "tone.flac", rate_hz=48_000, channels=2)
    whole, told = read_clip(path), read_clip(path, analyse=False)
    assert len(told.samples) == 0
    assert (told.peaks, told.length_ms) == (whole.peaks, whole.length_ms)


def test_of_a_long_file_ten_minutes_are_analysed_and_all_is_drawn(tmp_path: Path) -> None:
    rate_hz = 8_000
    sound = np.full(rate_hz * 660, 0.25, dtype=np.float32)
    sound[::2] *= -1
    sound[rate_hz * 630 :] *= 3
    soundfile.write(tmp_path / "long.wav", sound, rate_hz)
    clip = read_clip(tmp_path / "long.wav")
    assert clip.length_ms == 660_000
    assert len(clip.samples) == MAX_ANALYSED_S * SAMPLE_RATE_HZ
    assert clip.peaks[:190] == [85] * 190  # a third of 255
    assert clip.peaks[192:] == [255] * 8


def test_ten_hours_take_no_more_memory_than_ten_minutes(tmp_path: Path) -> None:
    for name, length_s in (("short", 600), ("long", 36_000)):
        _constant_wav(tmp_path / f"{name}.wav", 8_000 * length_s)
    program = """
import sys
from pathlib import Path
from etl.features import extract
for name, length_ms in (("short", 600_000), ("long", 36_000_000)):
    assert extract(Path(sys.argv[1]) / f"{name}.wav").length_ms == length_ms
    status = Path("/proc/self/status").read_text()
    print(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")))
"""
    found = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=True
    )
    short_kb, long_kb = map(int, found.stdout.split())
    assert short_kb < 500_000
    assert long_kb - short_kb < 20_000


def _constant_wav(path: Path, frames: int) -> None:
    """Write a mono file of 8 bits and 8 kHz that takes no room on the disk: every sample is -1."""
    with path.open("wb") as file:
        file.write(b"RIFF" + (36 + frames).to_bytes(4, "little") + b"WAVEfmt " + (16).to_bytes(4, "little"))
        file.write(
            b"".join(n.to_bytes(size, "little") for n, size in ((1, 2), (1, 2), (8_000, 4), (8_000, 4)))
        )
        file.write((1).to_bytes(2, "little") + (8).to_bytes(2, "little"))
        file.write(b"data" + frames.to_bytes(4, "little"))
        file.truncate(44 + frames)
