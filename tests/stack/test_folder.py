"""One data folder holds one stack; what an earlier one left running is ended."""

import shutil
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from schemas.errors import InvalidInput, MissingRequirement
from schemas.settings import Settings
from stack import folder
from stack.child import Child, Program, end_orphan, rotate, start_time
from stack.folder import (
    ProcessState,
    StackState,
    end_orphans,
    occupied,
    read_state,
    running_state,
    state_file,
    write_state,
)

SLEEPER = (sys.executable, "-c", "import time; time.sleep(600)")
DEAF = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
    "print('deaf', flush=True); time.sleep(600)"
)


def state_with(processes: list[ProcessState], pid: int = 1, started_s: float = 0.0) -> StackState:
    return StackState(
        pid=pid, started_s=started_s, environment={}, web="http://127.0.0.1:8080", processes=processes
    )


def process_state(name: str, pid: int, started_s: float) -> ProcessState:
    return ProcessState(name=name, pid=pid, started_s=started_s, state="ready", restarts=0, last_exit=None)


def test_a_folder_in_use_is_refused_in_one_sentence(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    with (
        occupied(settings),
        pytest.raises(InvalidInput, match="is in use by another stack") as caught,
        occupied(settings),
    ):
        pass
    assert "\n" not in str(caught.value)
    with occupied(settings):
        pass


def test_a_full_disk_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(folder.shutil, "disk_usage", lambda _: usage._replace(free=700 * 1024**2))
    sentence = r"Only 700 MiB are free .* set SEGUE_DATA_DIR"
    with pytest.raises(MissingRequirement, match=sentence), occupied(Settings(data_dir=tmp_path)):
        pass


def test_a_state_file_is_read_back_and_only_the_owner_reads_it(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    assert read_state(settings) is None
    write_state(settings, state_with([process_state("web", 7, 1.5)]))
    assert read_state(settings) == state_with([process_state("web", 7, 1.5)])
    assert state_file(settings).stat().st_mode & 0o077 == 0
    state_file(settings).write_text('{"pid": 1')
    assert read_state(settings) is None


def test_a_state_of_a_process_that_is_gone_is_not_a_running_stack(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    me = psutil.Process()
    write_state(settings, state_with([], me.pid, me.create_time()))
    assert running_state(settings) is not None
    write_state(settings, state_with([], me.pid, me.create_time() - 100))
    assert running_state(settings) is None


def test_orphans_of_an_earlier_stack_are_ended_and_strangers_are_not(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    with subprocess.Popen(SLEEPER) as orphan, subprocess.Popen(SLEEPER) as stranger:
        try:
            processes = [
                process_state("mongod", orphan.pid, start_time(orphan.pid)),
                # the number was used again by a program of somebody else
                process_state("kafka", stranger.pid, start_time(stranger.pid) - 50),
                process_state("web", 0, 0.0),
            ]
            write_state(settings, state_with(processes))
            assert end_orphans(settings) == ["mongod"]
            assert start_time(orphan.pid) == 0.0
            assert stranger.poll() is None
        finally:
            orphan.kill()
            stranger.kill()


def test_an_orphan_that_does_not_listen_is_killed(tmp_path: Path) -> None:
    child = Child(Program("deaf", (sys.executable, "-c", DEAF), tmp_path / "deaf.log"))
    while "deaf" not in child.last_lines():
        time.sleep(0.02)
    # this process is its parent and must reap it, or it would stay a zombie
    assert end_orphan(child.pid, child.started_s, within_s=0.3)
    assert child.stop() == -9


def test_a_long_log_is_moved_aside_while_its_writer_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    with path.open("ab", buffering=0) as writer:
        writer.write(b"x" * 100)
        assert not rotate(path, limit_bytes=100)
        writer.write(b"y")
        assert rotate(path, limit_bytes=100)
        writer.write(b"new")
    assert path.read_bytes() == b"new"
    assert len((tmp_path / "a.log.1").read_bytes()) == 101
