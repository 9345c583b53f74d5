"""The feature vector: named, ordered, never NaN, whatever the file."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from etl.audio import SAMPLE_RATE_HZ
from etl.features import NAMES, describe, extract
from etl.mfcc import mfcc
from schemas.errors import UnreadableAudio

_LENGTH = 5 * SAMPLE_RATE_HZ


def test_names_and_vector_have_the_same_length(tmp_path: Path, write_tone) -> None:
    extracted = extract(write_tone(tmp_path / "tone.ogg"))
    assert extracted.vector.shape == (len(NAMES),) == (115,)
    assert len(set(NAMES)) == 115
    assert extracted.vector.dtype == np.float64
    assert NAMES[:20] == tuple(f"mfcc_{n:02d}_mean" for n in range(20))


def test_the_vector_begins_with_the_mfcc_of_the_same_sound(sample_data: Path) -> None:
    sound = np.random.default_rng(1).uniform(-0.1, 0.1, _LENGTH).astype(np.float32)
    np.testing.assert_allclose(describe(sound)[:20], mfcc(sound).mean(axis=1), atol=1e-4)


def test_without_analysis_there_is_no_vector(tmp_path: Path, write_tone) -> None:
    path = write_tone(tmp_path / "tone.ogg")
    whole, told = extract(path), extract(path, analyse=False)
    assert told.vector.shape == (0,)
    assert (told.peaks, told.length_ms) == (whole.peaks, whole.length_ms)


def assert_in_range(vector: np.ndarray) -> None:
    """Assert that every feature is a number and where docs/etl.md says it is."""
    assert np.isfinite(vector).all()
    named = dict(zip(NAMES, vector, strict=True))
    for name, value in named.items():
        if name.endswith("_std"):
            assert value >= 0, name
        elif "_hz_" in name:
            assert 0 <= value <= SAMPLE_RATE_HZ / 2, name
        elif name.startswith(("flatness", "zero_crossing", "chroma")):
            assert -1e-6 <= value <= 1 + 1e-6, name
        elif name.startswith("rms_db"):
            assert value >= -100.001, name
        elif name == "beat_strength":
            assert -1 <= value <= 1
    assert np.log2(60 / 8) < named["tempo_log2_bpm"] < np.log2(320)
    assert 0 <= named["onsets_per_s"] < 22
    assert 0 <= named["onset_strength_mean"] <= 80


def _sounds() -> dict[str, np.ndarray]:
    t = np.arange(_LENGTH)
    sounds = {
        "silence": np.zeros(_LENGTH),
        "constant": np.full(_LENGTH, 0.5),
        "tone": 0.5 * np.sin(t * 0.1),
        "highest tone": 0.5 * (-1.0) ** t,
        "square wave": np.sign(np.sin(t * 0.05)),
        "silence, then a tone": np.where(t > _LENGTH // 2, np.sin(t * 0.1), 0.0),
    }
    for name, at in (("first", 0), ("middle", _LENGTH // 2), ("last", _LENGTH - 1)):
        sounds[f"click at the {name} sample"] = (t == at).astype(float)
    return sounds


@pytest.mark.parametrize("name", _sounds())
def test_features_of_strange_sounds_are_numbers(name: str) -> None:
    assert_in_range(describe(_sounds()[name].astype(np.float32)))


@settings(max_examples=25, deadline=None)
@given(
    arrays(np.float32, 1500, elements=st.floats(-1, 1, width=32)),
    st.sampled_from([1e-20, 1e-3, 1.0, 1e6]),
    st.integers(4_096, 30_000),
)
@example(np.zeros(1500, np.float32), 1.0, 4_096)
def test_features_are_always_finite(block: np.ndarray, scale: float, length: int) -> None:
    assert_in_range(describe(np.resize(block * np.float32(scale), length)))


@pytest.mark.parametrize(
    ("rate_hz", "channels", "suffix"),
    [(8_000, 1, "wav"), (16_000, 8, "flac"), (44_100, 2, "mp3"), (48_000, 2, "ogg"), (192_000, 1, "flac")],
)
def test_rate_channels_and_format_hardly_move_the_features(
    tmp_path: Path, write_tone, rate_hz: int, channels: int, suffix: str
) -> None:
    path = write_tone(tmp_path / f"tone.{suffix}", length_s=5.0, rate_hz=rate_hz, channels=channels)
    plain = extract(write_tone(tmp_path / "plain.wav", length_s=5.0, rate_hz=22_050))
    found = extract(path)
    assert_in_range(found.vector)
    assert abs(found.length_ms - 5_000) < 60  # an MP3 ends with a whole frame
    named, reference = (dict(zip(NAMES, each.vector, strict=True)) for each in (found, plain))
    assert named["centroid_hz_mean"] == pytest.approx(reference["centroid_hz_mean"], rel=0.1)
    assert named["rms_db_mean"] == pytest.approx(reference["rms_db_mean"], abs=0.5)
    assert named["chroma_a_mean"] == pytest.approx(reference["chroma_a_mean"], abs=0.1)


def test_samples_beyond_any_scale_are_refused(tmp_path: Path) -> None:
    for level, accepted in ((1e5, True), (1e30, False)):
        sound = np.random.default_rng(1).uniform(-level, level, 6 * 22_050).astype(np.float32)
        path = tmp_path / "loud.wav"
        soundfile.write(path, sound, 22_050, subtype="FLOAT")
        if accepted:
            assert np.isfinite(extract(path).vector).all()
        else:
            with pytest.raises(UnreadableAudio, match="beyond any scale: a sample of 1e"):
                extract(path)
