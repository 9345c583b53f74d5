"""Extract features on Spark: the step that a local process runs, run inside Spark's Python workers.

Files go out in small tasks and outcomes come back as tasks end, so little is held here and little is lost
by a kill. In each worker a file is decoded in a process of its own, with deadline and memory limit, as
everywhere (``etl.pool``): a hostile file cannot end the worker.
"""

import re
import threading
import warnings
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager
from itertools import islice
from typing import Any

from py4j.protocol import Py4JError  # type: ignore[import-untyped]
from pyspark import SparkContext
from pyspark.errors import PySparkException

from connections.spark import machine_lives, open_session
from etl.pool import ClipFile, Outcome
from etl.sound import Engine
from etl.spark_step import extract_task
from schemas.errors import Unavailable
from schemas.settings import Settings

_FILES_A_TASK = 16
_POLL_S = 0.2
_JAVA = (
    "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"  # it hands out names of files: starting it is most of its work
)
_TELLING = re.compile(r"(Caused by: )?[\w.]*(Error|Exception): .")


@contextmanager
def spark_engine(settings: Settings, partitions: int | None = None) -> Iterator[Engine]:
    """Yield an engine that extracts on ``SEGUE_SPARK_MASTER``; nothing of it runs on afterwards.

    Spark starts when the first file is wanted. On a cluster of several machines Segue must be installed,
    and the files must lie, at the same paths on all of them.

    Parameters
    ----------
    partitions : tasks at a time; by default the cores that Spark has

    Raises
    ------
    MissingRequirement
        By the engine: the Java virtual machine did not start.
    Unavailable
        By the engine: the virtual machine died, or Spark could not run a task.
    """
    cluster = _Cluster(settings, partitions)
    try:
        yield cluster.outcomes
    finally:
        cluster.end()


class _Cluster:
    """Spark, started when it is needed."""

    def __init__(self, settings: Settings, partitions: int | None) -> None:
        self._settings = settings
        self._partitions = partitions
        self._session = ExitStack()
        self._context: SparkContext | None = None

    def outcomes(self, files: Iterable[ClipFile]) -> "SparkOutcomes":
        """Return the outcomes of files: the engine."""
        return SparkOutcomes(self._run, files)

    def end(self) -> None:
        """End Spark and what it started."""
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Unable to cleanly shutdown Spark", RuntimeWarning)
            try:
                self._session.close()
            except (Py4JError, OSError):
                pass  # the virtual machine is gone already

    def _start(self) -> SparkContext:
        if self._context is None:
            session = open_session(
                self._settings,
                "etl",
                {},
                java=_JAVA,
                log=self._settings.spark_log,
            )
            self._context = self._session.enter_context(session).sparkContext
        return self._context

    def _run(self, files: Iterable[ClipFile], stop: threading.Event) -> Generator[Outcome, None, None]:
        """Yield outcomes as tasks end; a few tasks more than run at a time are handed out."""
        context = self._start()
        tasks = _tasks(files)
        at_once = (self._partitions or context.defaultParallelism) + 1
        with ThreadPoolExecutor(at_once, "spark-tasks") as threads:
            running = {threads.submit(_extract, context, task) for task in islice(tasks, at_once)}
            try:
                while running:
                    done, running = wait(running, _POLL_S, FIRST_COMPLETED)
                    if stop.is_set():
                        raise Unavailable("the extraction was interrupted")
                    for ended in done:
                        outcomes = self._outcomes_of(ended)
                        running |= {threads.submit(_extract, context, task) for task in islice(tasks, 1)}
                        yield from outcomes
            finally:
                if running:
                    _cancel(context, running)

    def _outcomes_of(self, ended: "Future[list[Outcome]]") -> list[Outcome]:
        try:
            return ended.result()
        # UnboundLocalError: pyspark's `_load_from_socket` where the machine died just before it connected
        except (PySparkException, Py4JError, OSError, EOFError, UnboundLocalError) as error:
            happened = f"could not extract features: {_reason(error)}" if machine_lives() else "died"
            raise Unavailable(
                f"Spark {happened}; what is loaded stays: run again, or see {self._settings.spark_log}"
            ) from error


class SparkOutcomes(Generator[Outcome, None, None]):
    """Outcomes from Spark; ``interrupt`` ends a wait for them from another thread."""

    def __init__(
        self,
        run: Callable[[Iterable[ClipFile], threading.Event], Generator[Outcome, None, None]],
        files: Iterable[ClipFile],
    ) -> None:
        self._stop = threading.Event()
        self._outcomes = run(files, self._stop)

    def interrupt(self) -> None:
        """Let the outcome that is being waited for be an error."""
        self._stop.set()

    def send(self, value: None) -> Outcome:
        return self._outcomes.send(value)

    def throw(self, *given: Any) -> Outcome:
        return self._outcomes.throw(*given)

    def close(self) -> None:
        self._outcomes.close()


def _tasks(files: Iterable[ClipFile]) -> Iterator[list[ClipFile]]:
    rest = iter(files)
    while task := list(islice(rest, _FILES_A_TASK)):
        yield task


def _extract(context: SparkContext, files: list[ClipFile]) -> list[Outcome]:
    """Run one task and wait for it."""
    return context.parallelize(files, 1).mapPartitions(extract_task).collect()


def _cancel(context: SparkContext, running: "set[Future[list[Outcome]]]") -> None:
    for task in running:
        task.cancel()
    try:
        context.cancelAllJobs()
    except (Py4JError, OSError):
        pass  # the virtual machine is gone, and the tasks with it


def _reason(error: Exception) -> str:
    """Return the line of a long message that says what happened."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    telling = [line for line in lines if _TELLING.match(line)]
    return (telling or lines or [type(error).__name__])[-1 if telling else 0]
