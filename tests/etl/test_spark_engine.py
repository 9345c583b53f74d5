"""Features extracted on a real Spark: the same bits, nothing left running, one sentence when it dies."""

import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from etl.features import Extracted
from etl.pool import ClipFile, extract_all
from schemas.errors import UnreadableAudio

ROOT = Path(__file__).resolve().parents[2]
CLIPS = 20  # more than one task


@pytest.mark.slow
def test_spark_gives_the_same_bits_ends_clean_and_dies_with_one_sentence(tmp_path: Path, write_tone) -> None:
    path = write_tone(tmp_path / "tone.wav")
    files = [ClipFile(n, write_tone(tmp_path / f"{n}.wav", hz=200.0 + 9 * n)) for n in range(1, 4)]
    files += [ClipFile(n, path, analyse=False) for n in range(4, CLIPS)]
    (tmp_path / "broken.mp3").write_bytes(b"<html>gone</html>" * 99)
    files += [ClipFile(CLIPS, tmp_path / "broken.mp3"), ClipFile(CLIPS + 1, tmp_path / "missing.mp3")]
    (tmp_path / "files").write_bytes(pickle.dumps(files))
    ran = subprocess.run(
        [sys.executable, "-m", "tests.etl.spark_run", str(tmp_path)],
        cwd=ROOT,
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert (ran.stdout, ran.stderr) == ("", "")
    found = pickle.loads((tmp_path / "found").read_bytes())
    here = dict(extract_all(files, processes=2))
    assert len(found["outcomes"]) == len(here) == len(files)
    for file, there in found["outcomes"]:
        _same(here[file], there)
    assert found["interrupted"] == "Unavailable: the extraction was interrupted"
    assert found["after"] == 1
    assert len(found["ran"]) > 3
    assert found["left"] == []
    assert found["killed"].startswith("Unavailable: Spark died; what is loaded stays: run again, or see ")
    assert list((tmp_path / "data" / "spark").iterdir()) == []


def _same(one: Extracted | UnreadableAudio, other: Extracted | UnreadableAudio) -> None:
    assert type(one) is type(other)
    if isinstance(one, UnreadableAudio):
        assert str(one) == str(other)
        return
    np.testing.assert_array_equal(one.vector, other.vector)
    assert (one.peaks, one.length_ms) == (other.peaks, other.length_ms)


def test_without_java_the_sentence_names_the_fix(tmp_path: Path, write_tone) -> None:
    (tmp_path / "files").write_bytes(pickle.dumps([ClipFile(1, tmp_path / "1.wav")]))
    ran = subprocess.run(
        [sys.executable, "-m", "tests.etl.spark_run", str(tmp_path)],
        cwd=ROOT,
        env={**os.environ, "JAVA_HOME": str(tmp_path / "none")},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert ran.returncode == 1
    assert "MissingRequirement: Spark did not start" in ran.stderr.splitlines()[-1]
