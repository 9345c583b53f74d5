"""Extract features of many files in processes, each file with a deadline.

A file can hang or kill the decoder's process: that file is refused, a new process takes its place, and
the run goes on. (``concurrent.futures`` would lose the whole pool.)
"""

import multiprocessing
import os
import resource
import signal
import threading
import time
from collections.abc import Generator, Iterable
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import BaseContext
from pathlib import Path

from etl.features import Extracted, extract
from schemas.errors import UnreadableAudio

DEADLINE_S = 60.0
_START_S = 120.0  # importing the decoder and librosa on a busy machine
_MEMORY_BYTES = 6 * 1024**3  # address space of one process


@dataclass(frozen=True, slots=True)
class ClipFile:
    """One file to be extracted; ``expected_s`` as in ``etl.audio.read_clip``."""

    track_id: int
    path: Path
    expected_s: tuple[float, ...] = ()


Outcome = tuple[ClipFile, Extracted | UnreadableAudio]


def extract_all(
    files: Iterable[ClipFile], *, processes: int | None = None, deadline_s: float = DEADLINE_S
) -> Generator[Outcome, None, None]:
    """Yield each file with its features or the reason why it has none, in the order of completion.

    Parameters
    ----------
    files : taken one by one, as processes get free
    processes : by default one per core
    deadline_s : seconds for one file; then its process is ended
    """
    queue = iter(files)
    context = _context()
    workers: list[_Worker] = []
    try:
        for _, file in zip(range(processes or os.cpu_count() or 1), queue, strict=False):
            workers.append(_Worker(context, deadline_s))
            workers[-1].give(file)
        while workers:
            for worker in _ready(workers):
                outcome = worker.take()
                following = next(queue, None)
                if following is None or not worker.alive:
                    workers.remove(worker)
                    worker.end()
                if following is not None:
                    if not worker.alive:
                        worker = _Worker(context, deadline_s)
                        workers.append(worker)
                    worker.give(following)
                yield outcome
    finally:
        for worker in workers:
            worker.end()


def _context() -> BaseContext:
    """Return a way to start processes that share nothing with this one but imported modules."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["etl.features"])
    return context


def _ready(workers: "list[_Worker]") -> "list[_Worker]":
    until = min(worker.deadline for worker in workers)
    signalled = wait([worker.connection for worker in workers], max(0.0, until - time.monotonic()))
    now = time.monotonic()
    return [worker for worker in workers if worker.connection in signalled or worker.deadline <= now]


class _Worker:
    """One process and the file that it works on."""

    def __init__(self, context: BaseContext, deadline_s: float) -> None:
        self.connection, theirs = context.Pipe()
        self._process = context.Process(  # type: ignore[attr-defined]
            target=_serve, args=(theirs,), daemon=True
        )
        self._process.start()
        theirs.close()
        self._deadline_s = deadline_s
        self._grace_s = _START_S
        self.alive = True
        self.deadline = 0.0
        self._file: ClipFile | None = None

    def give(self, file: ClipFile) -> None:
        self._file = file
        self.deadline = time.monotonic() + self._deadline_s + self._grace_s
        self._grace_s = 0.0
        try:
            self.connection.send(file)
        except OSError:
            pass  # the process has died: take() finds it and names the file

    def take(self) -> Outcome:
        assert self._file is not None
        file, self._file = self._file, None
        try:
            if self.connection.poll():
                return file, self.connection.recv()
        except (EOFError, OSError):
            self.alive = False
            return file, UnreadableAudio("the decoder's process died on it")
        self.alive = False
        return file, UnreadableAudio(f"not decoded within {self._deadline_s:g} s")

    def end(self) -> None:
        self.connection.close()
        if not self.alive or self._file is not None:
            self._process.kill()
        self._process.join(5.0)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()


def serve_parent() -> None:
    """Tie this process to its parent: Ctrl-C is the parent's to handle, and its death ends this process too.

    Without it the process would outlive a parent that was killed.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    assert parent is not None, "runs in a child process"

    def follow() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()


def _serve(connection: Connection) -> None:
    """Answer files with features until the other end closes. Runs in a process of its own."""
    serve_parent()
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
    # libmpg123 writes a line per bad frame to stderr, whatever it is told
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 2)
    while True:
        try:
            file: ClipFile = connection.recv()
        except EOFError:
            return
        try:
            answer: Extracted | UnreadableAudio = extract(file.path, file.expected_s)
        except UnreadableAudio as error:
            answer = UnreadableAudio(str(error))  # without its cause, which may not pickle
        except MemoryError:
            answer = UnreadableAudio("needs more memory than one file may take")
        connection.send(answer)
