"""One child process: started with its own log file, dying with its parent, ended politely and then surely."""

import asyncio
import ctypes
import functools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from schemas import places

_PR_SET_PDEATHSIG = 1
_LOG_LIMIT_BYTES = 16 * 1024 * 1024
_TICK_S = 0.2


@dataclass(frozen=True, slots=True)
class Program:
    """What is started.

    Attributes
    ----------
    name : as shown by `segue status`, and of the log file
    command : program and arguments
    log_file : its standard output and error
    environment : variables that are set beside those of the parent
    stop_within_s : seconds from SIGTERM to SIGKILL
    waits : it waits until it is told whose place to take (``Child.take_place``)
    """

    name: str
    command: tuple[str, ...]
    log_file: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    stop_within_s: float = 8.0
    waits: bool = False


class Child:
    """A running program, in a process group of its own, so that Ctrl-C reaches the parent alone."""

    def __init__(self, program: Program) -> None:
        self.program = program
        program.log_file.parent.mkdir(parents=True, exist_ok=True)
        rotate(program.log_file)
        with program.log_file.open("ab") as log:
            self._process = subprocess.Popen(
                program.command,
                stdin=subprocess.PIPE if program.waits else subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **program.environment},
                start_new_session=True,
                preexec_fn=_die_with_parent(),  # noqa: PLW1509 - one system call, bound before the fork
            )
        self.pid = self._process.pid
        self.started_s = start_time(self.pid)

    def exit_code(self) -> int | None:
        """Return the exit code, negative for a signal; None while it runs."""
        return self._process.poll()

    async def ended(self) -> int:
        """Return the exit code once it has ended; where the kernel tells, that is at once."""
        try:
            handle = os.pidfd_open(self.pid)
        except (AttributeError, OSError):  # not on Linux, or it has ended already
            while (code := self.exit_code()) is None:
                await asyncio.sleep(_TICK_S)
            return code
        loop, told = asyncio.get_running_loop(), asyncio.Event()
        loop.add_reader(handle, told.set)
        try:
            await told.wait()
        finally:
            loop.remove_reader(handle)
            os.close(handle)
        return self._process.wait()

    def take_place(self, program: Program) -> bool:
        """Let a process that waits go on as ``program``; False when it has ended."""
        assert self._process.stdin is not None, f"{self.program.name} does not wait"
        program.log_file.parent.mkdir(parents=True, exist_ok=True)
        rotate(program.log_file)
        place = places.Place(dict(program.environment), str(program.log_file))
        try:
            with self._process.stdin as pipe:
                pipe.write(places.encode(place))
        except BrokenPipeError:
            self.kill()
            return False
        self.program = program
        return True

    def terminate(self) -> None:
        """Ask it to stop."""
        if self._process.poll() is None:
            self._process.terminate()

    def stop(self) -> int:
        """Ask it to stop, kill it after ``stop_within_s``; return the exit code."""
        self.terminate()
        try:
            return self._process.wait(self.program.stop_within_s)
        except subprocess.TimeoutExpired:
            return self.kill()
        finally:
            _end_group(self.pid)

    def kill(self) -> int:
        """End it and its own children at once."""
        _end_group(self.pid)
        self._process.kill()
        if self._process.stdin is not None:
            self._process.stdin.close()
        return self._process.wait()

    def last_lines(self, count: int = 5) -> str:
        """Return the end of its log."""
        return tail(self.program.log_file, count)


def tail(path: Path, count: int) -> str:
    """Return the last ``count`` lines of a log, or nothing when there is none."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - 8192))
            lines = file.read().decode("utf-8", "replace").splitlines()
    except FileNotFoundError:
        return ""
    return "\n".join(lines[-count:])


def rotate(path: Path, limit_bytes: int = _LOG_LIMIT_BYTES) -> bool:
    """Move a log's content beside it (``.1``) once it is longer than the limit; return whether it was.

    The file itself stays and is emptied: its writer appends, so it needs no telling.
    """
    try:
        if path.stat().st_size <= limit_bytes:
            return False
    except FileNotFoundError:
        return False
    path.with_name(path.name + ".1").write_bytes(path.read_bytes())
    os.truncate(path, 0)
    return True


def start_time(pid: int) -> float:
    """Return when a process started, seconds since 1970; 0 when there is none.

    Together with the number it names a process for ever: numbers are used again.
    """
    try:
        return psutil.Process(pid).create_time()
    except psutil.NoSuchProcess:
        return 0.0


def end_orphan(pid: int, started_s: float, within_s: float = 10.0) -> bool:
    """End a process of an earlier run if it is still the same one; return whether it was there."""
    if started_s <= 0 or abs(start_time(pid) - started_s) > 0.5:
        return False
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return False
        process.resume()  # a stopped process would not hear SIGTERM
        process.terminate()
        process.wait(within_s)
    except psutil.TimeoutExpired:
        _end_group(pid)
        deadline = time.monotonic() + within_s
        while abs(start_time(pid) - started_s) < 0.5 and time.monotonic() < deadline:
            time.sleep(0.05)
    except psutil.NoSuchProcess:
        pass
    return True


def _end_group(pid: int) -> None:
    try:
        os.killpg(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        pass  # nothing of the group is left


def _die_with_parent() -> Callable[[], object] | None:
    # the kernel sends SIGTERM when the supervisor is gone, whatever ended it
    if sys.platform != "linux":
        return None
    return functools.partial(ctypes.CDLL(None).prctl, _PR_SET_PDEATHSIG, int(signal.SIGTERM))
