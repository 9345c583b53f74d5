"""The pool survives files that hang or kill their process."""

import os
import time
from pathlib import Path

from etl.features import Extracted
from etl.pool import ClipFile, extract_all
from schemas.errors import UnreadableAudio


class _Hangs:
    """Arrives in the other process as a long sleep: stands for a file on which the decoder hangs."""

    def __reduce__(self):
        return time.sleep, (600,)


class _Kills:
    """Arrives in the other process as its end: stands for a file on which the decoder crashes."""

    def __reduce__(self):
        return os._exit, (3,)


def test_every_file_gets_features_or_a_reason(tmp_path: Path, write_tone) -> None:
    good = [ClipFile(n, write_tone(tmp_path / f"{n}.wav", hz=200 + 50 * n)) for n in range(1, 6)]
    junk = tmp_path / "junk.mp3"
    junk.write_bytes(b"no music" * 100)
    found = {file.track_id: outcome for file, outcome in extract_all([*good, ClipFile(9, junk)], processes=2)}
    assert sorted(found) == [1, 2, 3, 4, 5, 9]
    assert all(isinstance(found[n], Extracted) for n in range(1, 6))
    assert isinstance(found[9], UnreadableAudio)
    assert "undecodable" in str(found[9])


def test_a_file_that_hangs_or_kills_is_refused_and_the_run_goes_on(tmp_path: Path, write_tone) -> None:
    path = write_tone(tmp_path / "tone.wav")
    files = [ClipFile(1, path), ClipFile(2, path, _Hangs()), ClipFile(3, path, _Kills()), ClipFile(4, path)]
    found = {file.track_id: outcome for file, outcome in extract_all(files, processes=1, deadline_s=4.0)}
    assert isinstance(found[1], Extracted)
    assert "not decoded within 4 s" in str(found[2])
    assert "process died" in str(found[3])
    assert isinstance(found[4], Extracted)


def test_no_files_need_no_process() -> None:
    assert list(extract_all([])) == []
