"""A training as a child process: its own Java virtual machine, low priority, a deadline, a memory limit.

A dead or hanging virtual machine cannot take the trainer along, and what a training leaves in memory goes
with the process.
"""

import asyncio
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence

import psutil

from connections.python_path import python_path
from schemas.settings import Settings

NICE = 10
REFUSED_EXIT = 4
"""A child's exit code when the data do not bear a model that may be served: trying again would end alike."""
FAILED_EXIT = 3
"""A child's exit code when it may be tried again: an outage, a full disk, a virtual machine that died."""
LISTS_GRACE_S = 300.0
"""Seconds that a run which makes lists has beyond its budget, for its start and its last block."""
_GRACE_S = 5.0
_LOOK_S = 0.5
_MEMORY_SHARE = 0.75


class LimitExceeded(Exception):
    """The child was ended because it took too long, or held too much memory.

    Attributes
    ----------
    pid : of the child
    """

    def __init__(self, reason: str, pid: int) -> None:
        super().__init__(reason)
        self.pid = pid


def memory_limit_bytes(settings: Settings) -> int:
    """Return how much memory a training may hold."""
    return settings.train_memory_bytes or int(_MEMORY_SHARE * psutil.virtual_memory().total)


async def run_child(
    arguments: Sequence[str],
    deadline_s: float,
    memory_bytes: int | None = None,
    *,
    started: Callable[[int], None] = lambda _: None,
) -> int:
    """Run ``python -m training <arguments>`` and return its exit code.

    The child leads a process group of its own. When the deadline passes, the memory is too much, or the
    caller is cancelled, the whole group is ended: SIGTERM, after five seconds SIGKILL.

    Parameters
    ----------
    memory_bytes : most resident memory of the child and of all that it started, looked at every half
        second; None: any
    started : is told the child's pid

    Raises
    ------
    LimitExceeded
        After ``deadline_s`` seconds, or above ``memory_bytes``.
    """
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "training",
        *arguments,
        start_new_session=True,
        stdin=asyncio.subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": python_path()},
    )
    started(child.pid)
    ends_s = time.monotonic() + deadline_s
    try:
        while True:
            wait_s = min(_LOOK_S, max(0.0, ends_s - time.monotonic()))
            try:
                return await asyncio.wait_for(child.wait(), wait_s)
            except TimeoutError:
                pass
            if time.monotonic() >= ends_s:
                raise LimitExceeded(
                    f"the work was ended after {deadline_s:g} s; SEGUE_TRAIN_DEADLINE_S allows more, or, for "
                    "lists, SEGUE_LISTS_BUDGET_S",
                    child.pid,
                )
            held = resident_bytes(child.pid)
            if memory_bytes is not None and held > memory_bytes:
                raise LimitExceeded(
                    f"the training was ended: it held {held / 2**20:,.0f} MiB of memory, and "
                    f"SEGUE_TRAIN_MEMORY_BYTES allows {memory_bytes / 2**20:,.0f} MiB; allow more, or lower "
                    "SEGUE_SPARK_MEMORY",
                    child.pid,
                )
    finally:
        await _end(child)


def resident_bytes(pid: int) -> int:
    """Return the resident memory of a process and of all below it; 0 when it is gone."""
    held = 0
    try:
        process = psutil.Process(pid)
        for one in (process, *process.children(recursive=True)):
            try:
                held += one.memory_info().rss
            except psutil.NoSuchProcess:
                pass  # it has just ended
    except psutil.NoSuchProcess:
        pass
    return held


def become_child() -> None:
    """Lower this process's priority, and end it when its parent has gone."""
    os.nice(NICE)
    parent = os.getppid()
    threading.Thread(target=_watch, args=(parent,), name="parent-watch", daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1.0)
    # nobody waits for the result any more; the virtual machine ends when its pipe to this process breaks
    os._exit(1)


async def _end(child: asyncio.subprocess.Process) -> None:
    _signal_group(child.pid, signal.SIGTERM)
    if child.returncode is None:
        try:
            await asyncio.wait_for(child.wait(), _GRACE_S)
        except TimeoutError:
            pass
    _signal_group(child.pid, signal.SIGKILL)
    await child.wait()


def _signal_group(group: int, number: signal.Signals) -> None:
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):
        pass  # nobody is left in the group
