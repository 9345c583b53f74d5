"""The pool survives files that hang or kill their process."""

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import soundfile

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
    assert "process died on it: 2 times" in str(found[3])
    assert isinstance(found[4], Extracted)


def decoders(program: psutil.Process) -> list[psutil.Process]:
    """Return the processes that decode for a program: children of the server that forks them."""
    return [child for child in program.children(recursive=True) if child.ppid() != program.pid]


def test_a_process_that_is_killed_from_outside_costs_no_file(tmp_path: Path, write_tone) -> None:
    path = write_tone(tmp_path / "tone.wav", length_s=60.0)
    outcomes = extract_all([ClipFile(n, path) for n in range(8)], processes=2)
    found = dict([next(outcomes)])
    for process in decoders(psutil.Process()):
        process.kill()  # as the kernel does when memory runs out: each has begun with a file
    found.update(outcomes)
    assert sorted(file.track_id for file in found) == list(range(8))
    assert all(isinstance(outcome, Extracted) for outcome in found.values())


def test_a_file_that_needs_too_much_memory_is_refused_alone(tmp_path: Path, write_tone) -> None:
    small = write_tone(tmp_path / "small.wav")
    noise = np.random.default_rng(1).uniform(-0.3, 0.3, 8_000 * 600)
    soundfile.write(tmp_path / "large.wav", noise, 8_000)
    files = [ClipFile(1, small), ClipFile(2, tmp_path / "large.wav"), ClipFile(3, small)]
    found = {
        file.track_id: outcome for file, outcome in extract_all(files, processes=1, memory_bytes=48 * 1024**2)
    }
    assert isinstance(found[1], Extracted)
    assert str(found[2]) == "needs more memory than one file may take"
    assert isinstance(found[3], Extracted)
    ((_, allowed),) = extract_all([files[1]], processes=1)
    assert isinstance(allowed, Extracted)


def test_the_death_of_the_parent_ends_the_processes(tmp_path: Path, write_tone) -> None:
    program = """
import itertools, sys
from pathlib import Path
from etl.pool import ClipFile, extract_all
for _ in extract_all((ClipFile(n, Path(sys.argv[1])) for n in itertools.count()), processes=2):
    print("one more", flush=True)
"""
    path = write_tone(tmp_path / "tone.wav")
    command = [sys.executable, "-c", program, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        for _ in range(4):
            assert parent.stdout.readline() == "one more\n"
        children = psutil.Process(parent.pid).children(recursive=True)
        assert len(decoders(psutil.Process(parent.pid))) == 2
        parent.kill()
    _, alive = psutil.wait_procs(children, timeout=30)
    assert alive == []


def test_decoding_alone_goes_through_the_pool(tmp_path: Path, write_tone) -> None:
    path = write_tone(tmp_path / "tone.wav")
    ((_, told),) = extract_all([ClipFile(1, path, analyse=False)], processes=1)
    assert isinstance(told, Extracted)
    assert (len(told.vector), len(told.peaks), told.length_ms) == (0, 200, 6_000)


def test_no_files_need_no_process() -> None:
    assert list(extract_all([])) == []
