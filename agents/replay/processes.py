"""As many processes as there are cores: each gets the next partition when it has finished one.

On Linux they are forked, before anything is open, so that they do not load again what is loaded, 0.9 s each.
"""

import asyncio
import multiprocessing
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from types import FrameType
from typing import Any

from agents.replay.folding import Finished, Job, Progress, StopAsked, fold_each, work
from schemas.errors import SegueError

_LOOK_S = 0.2
_STOP_S = 60.0  # to write the checkpoints


class Interrupted(SegueError):
    """SIGINT or SIGTERM came; what was folded is kept."""


@dataclass
class Running:
    """A process of a replay, our end of its pipe, and what it folds."""

    process: Any  # multiprocessing.process.BaseProcess
    pipe: Connection
    partition: int | None = None


def fold_all(
    job: Job,
    partitions: Sequence[int],
    running: Sequence[Running],
    tell: Callable[[Progress], None],
    stopped: threading.Event,
) -> None:
    """Fold partitions, in their order, and return when all parts stand.

    Parameters
    ----------
    running : what ``started`` yields; without any process it is folded here

    Raises
    ------
    Interrupted
        ``stopped`` was set, and the processes have kept what they had.
    SegueError
        What a process raised, or that one was ended from outside. The others are stopped.
    """
    if not running:
        _fold_here(job, partitions, tell, stopped)
        return
    waiting = list(reversed(partitions))
    for one in running:
        _send(one, job)
        _give(one, waiting)
    while any(one.partition is not None for one in running):
        if stopped.is_set():
            _stop(running)
            raise Interrupted
        for one in _ready(running):
            message = _received(one)
            if isinstance(message, Exception):
                _stop([other for other in running if other is not one])
                raise message
            if isinstance(message, Finished):
                _give(one, waiting)
            else:
                tell(message)


def _fold_here(
    job: Job, partitions: Sequence[int], tell: Callable[[Progress], None], stopped: threading.Event
) -> None:
    """Fold in this process: another one would only wait for it."""

    def tell_and_look(progress: Progress) -> None:
        tell(progress)
        if stopped.is_set():
            raise StopAsked

    try:
        asyncio.run(fold_each(job, partitions, tell_and_look))
    except StopAsked:
        raise Interrupted from None


def _ready(running: Sequence[Running]) -> list[Running]:
    readable = wait([one.pipe for one in running if one.partition is not None], timeout=_LOOK_S)
    return [one for one in running if one.pipe in readable]


def _received(one: Running) -> Progress | Finished | Exception:
    try:
        message: Progress | Finished | Exception = one.pipe.recv()
    except (EOFError, ConnectionResetError):
        one.process.join(_LOOK_S)
        return SegueError(
            f"the process that folded partition {one.partition} ended with code {one.process.exitcode}"
        )
    return message


def _give(one: Running, waiting: list[int]) -> None:
    one.partition = waiting.pop() if waiting else None
    _send(one, one.partition)


def _send(one: Running, message: Job | int | None) -> None:
    try:
        one.pipe.send(message)
    except BrokenPipeError:
        pass  # it is gone: its end of the pipe says so when it is read


def _stop(running: Sequence[Running]) -> None:
    for one in running:
        try:
            one.pipe.send(None)
        except OSError:
            continue  # it ended already
    for one in running:
        _drain(one)


def _drain(one: Running) -> None:
    """Read what a process still tells until it ends: it must not wait for room in the pipe."""
    try:
        while one.pipe.poll(_STOP_S):
            one.pipe.recv()
    except (EOFError, OSError):
        pass
    one.process.join(_STOP_S)


@contextmanager
def started(count: int) -> Iterator[list[Running]]:
    """Yield processes that wait for what to fold, none for a count of 1; they end with the block."""
    method = "fork" if sys.platform == "linux" else "spawn"
    context: Any = multiprocessing.get_context(method)
    running: list[Running] = []
    try:
        for number in range(count if count > 1 else 0):
            ours, theirs = context.Pipe()
            foreign = [ours, *(one.pipe for one in running)] if method == "fork" else []
            process = context.Process(
                target=work, args=(theirs, foreign), name=f"replay-{number}", daemon=True
            )
            process.start()
            theirs.close()  # so that reading says when the process is gone
            running.append(Running(process, ours))
        yield running
    finally:
        for one in running:
            one.pipe.close()  # a process that folds or waits finds that nobody listens, and ends
            one.process.join(_LOOK_S)
            if one.process.is_alive():
                one.process.kill()
                one.process.join()


@contextmanager
def stop_signal() -> Iterator[threading.Event]:
    """Yield what is set by the first SIGINT or SIGTERM; a second one interrupts at once."""
    stopped = threading.Event()

    def on_signal(number: int, frame: FrameType | None) -> None:
        if stopped.is_set():
            raise KeyboardInterrupt
        stopped.set()

    before = {number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stopped
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
