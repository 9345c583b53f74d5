"""Spark for a training, on loopback. Imported by the child alone."""

import asyncio
import os
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO, TypeVar

from py4j.protocol import Py4JError, Py4JJavaError  # type: ignore[import-untyped]
from pyspark.errors import ArithmeticException, IllegalArgumentException, PySparkException
from pyspark.sql import SparkSession

from connections.jars import checked_jars
from connections.native_blas import native_blas
from connections.spark import open_session
from schemas.errors import InvalidModel, InvalidSnapshot, SparkUnavailable
from schemas.settings import Settings

T = TypeVar("T")
CONNECTOR_JARS = ("org.mongodb", "org.mongodb.spark")
"""Organisations of the jars by which Spark reads MongoDB."""
_JAVA_VARIABLES = ("JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS", "_JAVA_OPTIONS", "SPARK_SUBMIT_OPTS")
_COLLECTOR = re.compile(r"-XX:\+Use\w+GC\b")
_SINGULAR = "SingularMatrixException"
_DAMAGED = re.compile(r"schemas\.errors\.InvalidSnapshot: (.+)")


@contextmanager
def spark_session(settings: Settings, *, blocks: int = 2) -> Iterator[SparkSession]:
    """Yield a Spark session whose folders are removed afterwards.

    With one block the virtual machine uses its fast compiler and its smallest collector: that halves the
    processor time of a training on a few dozen users, most of which is start-up. With more, the arithmetic of
    ALS is most of it: OpenBLAS does it in two thirds of the time, if the collector is one that does not wait
    for machine code to let go of its arrays, as Java's usual one does.

    Raises
    ------
    MissingRequirement
        The Java virtual machine did not start, or the connector's jars are not the pinned ones.
    """
    java = f"-XX:TieredStopAtLevel=1 {_collector('Serial')}" if blocks == 1 else _for_arithmetic()
    values = {
        "spark.jars": ",".join(str(path) for path in checked_jars(CONNECTOR_JARS)),
        "spark.sql.shuffle.partitions": str(blocks),
        "spark.default.parallelism": str(blocks),
        "spark.sql.session.timeZone": "UTC",
        # the queries are a few small ones: planning them again or compiling them costs more than it saves
        "spark.sql.adaptive.enabled": "false",
        "spark.sql.codegen.wholeStage": "false",
        "spark.sql.execution.arrow.maxRecordsPerBatch": "1000",
    }
    with open_session(settings, "training", values, java=java) as spark:
        yield spark


def _collector(name: str) -> str:
    """Return the option for a collector, unless the environment names one: Java starts with one alone."""
    chosen = any(_COLLECTOR.search(os.environ.get(variable, "")) for variable in _JAVA_VARIABLES)
    return "" if chosen else f"-XX:+Use{name}GC"


def _for_arithmetic() -> str:
    """Return options of the virtual machine for much arithmetic."""
    options = [_collector("Parallel")]
    library = native_blas()
    if library is not None:
        # a block is one thread, and there is a block for each core
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
        beside = [str(library.parent), os.environ.get("LD_LIBRARY_PATH", "")]
        os.environ["LD_LIBRARY_PATH"] = ":".join(filter(None, beside))
        # not LAPACK: its threads wait for each other over memory, and Java solves as fast
        options.append(f"-Ddev.ludovic.netlib.blas.nativeLibPath={library}")
    return " ".join(options)


async def in_spark(settings: Settings, doing: str, work: Callable[[SparkSession], T], *, blocks: int) -> T:
    """Run blocking work with a Spark session in a thread.

    Parameters
    ----------
    doing : what Spark does, for messages: "train"

    Raises
    ------
    InvalidSnapshot
        A part is missing or damaged.
    InvalidModel
        The data do not bear the work: trying again would fail again.
    SparkUnavailable
        Anything else failed: the virtual machine, a worker, memory, a disk, a store.
    """
    opened: list[SparkSession] = []
    unwanted = threading.Event()

    def run() -> T:
        with spark_session(settings, blocks=blocks) as spark:
            opened.append(spark)
            if unwanted.is_set():
                raise SparkUnavailable("what Spark was started for is not wanted any more")
            return work(spark)

    try:
        return await asyncio.to_thread(run)
    except asyncio.CancelledError:
        unwanted.set()
        for spark in opened:  # nobody waits for the thread any more: its work ends with its session
            with suppress(Py4JError, OSError):
                await asyncio.to_thread(spark.stop)
        raise
    except (PySparkException, Py4JJavaError) as error:
        damaged = damaged_part(error)
        if damaged is not None:
            raise InvalidSnapshot(damaged) from error
        kind = InvalidModel if is_of_the_data(error) else SparkUnavailable
        raise kind(f"Spark could not {doing}: {first_line(error)}; see {settings.spark_log}") from error
    except (Py4JError, ConnectionError) as error:
        raise SparkUnavailable(f"Spark's virtual machine died; see {settings.spark_log}") from error
    except (OSError, MemoryError) as error:
        raise SparkUnavailable(f"Spark could not {doing}: {error}; see {settings.spark_log}") from error


def damaged_part(error: Exception) -> str | None:
    """Return what Spark's worker said of a part that it could not use; None: that was not the cause."""
    found = _DAMAGED.search(str(error))
    return found[1] if found else None


def is_of_the_data(error: Exception) -> bool:
    """Say whether Spark failed for the numbers that it was given: the same ones would fail again.

    What the virtual machine raises says so in its text; what reaches Python as an error of its own has its
    class for that.
    """
    if isinstance(error, IllegalArgumentException | ArithmeticException):
        return True
    return _SINGULAR in str(error)


def first_line(error: Exception) -> str:
    """Return what an error says, without the stack of the virtual machine."""
    said = str(error).strip() or type(error).__name__
    return said.splitlines()[0]


def set_standard_error_aside(log: Path) -> TextIO:
    """Send file descriptor 2, which the virtual machine inherits, to ``log``; return the former stderr.

    The JVM and the native libraries that it looks for write there without asking; a terminal should show
    the progress of the training instead.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    former = os.fdopen(os.dup(2), "w", buffering=1)
    with log.open("w") as file:
        os.dup2(file.fileno(), 2)
    return former
