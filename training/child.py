"""A training as a child process: its own Java virtual machine, low priority, a deadline.

A dead or hanging virtual machine cannot take the trainer along, and what a training leaves in memory goes
with the process.
"""

import asyncio
import os
import signal
import sys
import threading
import time
from collections.abc import Sequence

from connections.python_path import python_path

NICE = 10
REFUSED_EXIT = 1
FAILED_EXIT = 3
"""A child's exit code when it may be tried again: an outage, or a virtual machine that died."""
LISTS_GRACE_S = 300.0
"""Seconds that a run which makes lists has beyond its budget, for its start and its last block."""
_GRACE_S = 5.0


class LimitExceeded(Exception):
    """The child was ended because it took too long.

    Attributes
    ----------
    pid : of the child
    """

    def __init__(self, reason: str, pid: int) -> None:
        super().__init__(reason)
        self.pid = pid


async def run_child(arguments: Sequence[str], deadline_s: float) -> int:
    """Run ``python -m training <arguments>`` and return its exit code.

    The child leads a process group of its own. When the deadline passes, or the caller is cancelled, the
    whole group is ended: SIGTERM, after five seconds SIGKILL.

    Raises
    ------
    LimitExceeded
        After ``deadline_s`` seconds.
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
    try:
        return await asyncio.wait_for(child.wait(), deadline_s)
    except TimeoutError:
        raise LimitExceeded(f"the training was ended after {deadline_s:g} s", child.pid) from None
    finally:
        await _end(child)


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
