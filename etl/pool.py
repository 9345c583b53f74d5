"""Extract features of many files in processes, each file with a deadline and a memory limit.

A file can hang or kill the decoder's process: that file is refused, a new process takes its place, and
the run goes on. (``concurrent.futures`` would lose the whole pool.)
"""

import multiprocessing
import os
import resource
import signal
import threading
import time
from collections import deque
from collections.abc import Generator, Iterable
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import BaseContext
from pathlib import Path

import psutil
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from etl.features import Extracted, extract
from schemas.errors import UnreadableAudio

DEADLINE_S = 60.0
MEMORY_BYTES = 1024**3
"""What one file may take, in address space: ten minutes of sound take a fifth of it, longer files no more."""
_BYTES_PER_S = 5_000_000  # a long file gets a second more for each of these
_START_S = 120.0  # importing the decoder on a busy machine
_ATTEMPTS = 2


@dataclass(frozen=True, slots=True)
class ClipFile:
    """One file to be extracted; ``expected_s`` and ``analyse`` as in ``etl.features.extract``."""

    track_id: int
    path: Path
    expected_s: tuple[float, ...] = ()
    analyse: bool = True


Outcome = tuple[ClipFile, Extracted | UnreadableAudio]


def extract_all(
    files: Iterable[ClipFile],
    *,
    processes: int | None = None,
    deadline_s: float = DEADLINE_S,
    memory_bytes: int = MEMORY_BYTES,
) -> Generator[Outcome, None, None]:
    """Yield each file with its features or the reason why it has none, in the order of completion.

    A file whose process dies is tried once more in a new one: the death may have been another's fault,
    as when the machine runs out of memory. After the second it is refused.

    Parameters
    ----------
    files : taken one by one, as processes get free
    processes : by default one per core
    deadline_s : seconds for one file, and one more for each 5 MB of it; then its process is ended
    memory_bytes : address space that one file may take beyond what its process has before the first
    """
    queue = iter(files)
    again: deque[_Job] = deque()
    context = _context()
    workers: list[_Worker] = []

    def following() -> _Job | None:
        if again:
            return again.popleft()
        file = next(queue, None)
        return None if file is None else _Job(file)

    try:
        while len(workers) < (processes or os.cpu_count() or 1) and (job := following()):
            workers.append(_Worker(context, deadline_s, memory_bytes))
            workers[-1].give(job)
        while workers:
            for worker in _ready(workers):
                outcome = worker.take()
                if outcome is None:
                    continue
                if isinstance(outcome, _Job):
                    again.append(outcome)
                job = following()
                if job is None or not worker.alive:
                    workers.remove(worker)
                    worker.end()
                if job is not None:
                    if not worker.alive:
                        worker = _Worker(context, deadline_s, memory_bytes)
                        workers.append(worker)
                    worker.give(job)
                if not isinstance(outcome, _Job):
                    yield outcome
    finally:
        for worker in workers:
            worker.end()


@dataclass(frozen=True, slots=True)
class _Job:
    """A file and which attempt at it this is."""

    file: ClipFile
    attempt: int = 1


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

    def __init__(self, context: BaseContext, deadline_s: float, memory_bytes: int) -> None:
        self.connection, theirs = context.Pipe()
        self._process = context.Process(  # type: ignore[attr-defined]
            target=_serve, args=(theirs, memory_bytes), daemon=True
        )
        self._process.start()
        theirs.close()
        self._deadline_s = deadline_s
        self.alive = True
        self.deadline = time.monotonic() + _START_S
        self._started = False
        self._job: _Job | None = None

    def give(self, job: _Job) -> None:
        self._job = job
        if self._started:
            self._begin(job)
        try:
            self.connection.send(job.file)
        except OSError:
            pass  # the process has died: take() finds it and names the file

    def _begin(self, job: _Job) -> None:
        self.deadline = time.monotonic() + self._deadline_s + _bytes(job.file.path) / _BYTES_PER_S

    def take(self) -> Outcome | _Job | None:
        """Return what became of the file, or the file to be tried again; None: the process has started."""
        assert self._job is not None
        job = self._job
        try:
            if self.connection.poll():
                found = self.connection.recv()
                if found is None:
                    self._started = True
                    self._begin(job)
                    return None
                self._job = None
                return job.file, found
        except (EOFError, OSError):
            return self._lost(job, "the decoder's process died on it")
        if not self._started:
            return self._lost(job, f"no process for it started within {_START_S:g} s")
        self.alive, self._job = False, None
        return job.file, UnreadableAudio(f"not decoded within {self._deadline_s:g} s")

    def _lost(self, job: _Job, happened: str) -> Outcome | _Job:
        """Return the file to be tried again, or after the last attempt what happened."""
        self.alive, self._job = False, None
        if job.attempt < _ATTEMPTS:
            return _Job(job.file, job.attempt + 1)
        return job.file, UnreadableAudio(f"{happened}: {job.attempt} times")

    def end(self) -> None:
        self.connection.close()
        if not self.alive or self._job is not None:
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


def _bytes(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0  # the process finds it, and says so


def _serve(connection: Connection, memory_bytes: int) -> None:
    """Answer files with features until the other end closes. Runs in a process of its own."""
    serve_parent()
    _be_modest(memory_bytes)
    # libmpg123 writes a line per bad frame to stderr, whatever it is told
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 2)
    connection.send(None)  # from here on the time of the first file counts
    while True:
        try:
            file: ClipFile = connection.recv()
        except EOFError:
            return
        try:
            answer: Extracted | UnreadableAudio = extract(file.path, file.expected_s, analyse=file.analyse)
        except UnreadableAudio as error:
            answer = UnreadableAudio(str(error))  # without its cause, which may not pickle
        connection.send(answer)


def _be_modest(memory_bytes: int) -> None:
    """Limit the memory of this process, and let it go first when the machine has none left."""
    threadpool_limits(limits=1)  # there is a process per core; each thread of BLAS takes memory of its own
    limit = psutil.Process().memory_info().vms + memory_bytes
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    score = Path("/proc/self/oom_score_adj")
    if score.exists():
        score.write_text("500")
