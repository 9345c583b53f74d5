"""A Spark session: start of the virtual machine, folders, end. Imported only by programs that use Spark."""

import fcntl
import logging
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from py4j.protocol import Py4JError  # type: ignore[import-untyped]
from pyspark import SparkConf, SparkContext
from pyspark.errors import PySparkException
from pyspark.java_gateway import launch_gateway
from pyspark.sql import SparkSession

from connections.python_path import python_path
from schemas.errors import MissingRequirement
from schemas.settings import Settings

_LOOPBACK = "127.0.0.1"
_FOR_EXECUTORS = ("PYTHONPATH", "OPENBLAS_NUM_THREADS")
_LOCK = "lock"
_GRACE_S = 20.0
_DYING_S = 2.0  # between the end of its connections and its own


def on_loopback(settings: Settings) -> bool:
    """Say whether all of Spark runs on this machine: then nothing of it listens outside."""
    master = settings.spark_master
    return master.startswith(("local", "spark://127.0.0.1:", "spark://localhost:"))


@contextmanager
def open_session(
    settings: Settings,
    name: str,
    values: Mapping[str, str],
    *,
    java: str = "",
    log: Path | None = None,
) -> Iterator[SparkSession]:
    """Yield a Spark session on ``SEGUE_SPARK_MASTER`` whose folders are removed afterwards.

    Parameters
    ----------
    name : of the program; its folders begin so
    values : settings of Spark beside those that all programs share
    java : further options of the virtual machine
    log : the virtual machine writes there instead of to this process's streams, and ends with the session;
        without it, with the process

    Raises
    ------
    MissingRequirement
        The Java virtual machine did not start.
    """
    home = settings.data_dir.resolve() / "spark"
    home.mkdir(parents=True, exist_ok=True)
    folder, held = own_folder(home, name)
    os.environ["PYSPARK_PYTHON"] = os.environ["PYSPARK_DRIVER_PYTHON"] = sys.executable
    os.environ["PYTHONPATH"] = python_path()  # Spark's Python workers import our packages
    try:
        with _virtual_machine({**_shared(settings, name, folder, java), **values}, log) as conf:
            spark = _start(conf)
            server = getattr(spark.sparkContext, "_accumulatorServer", None)
            if log is not None and server is not None:
                server.handle_error = lambda *_: None  # its thread would print a traceback
            try:
                spark.sparkContext.setCheckpointDir((folder / "checkpoints").as_uri())
                yield spark
            finally:
                spark.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(held)


def own_folder(home: Path, name: str) -> tuple[Path, int]:
    """Remove the folders of programs of that name that were killed; make one of our own.

    Each living program holds a lock in its folder, which the system takes back however it ends. A process id
    would not do: containers that share a data folder count their own.

    Returns
    -------
    the folder; the descriptor that holds its lock
    """
    for left in home.glob(f"{name}-*"):
        _remove_unless_held(left)
    made = Path(tempfile.mkdtemp(prefix=".", dir=home))
    held = os.open(made / _LOCK, os.O_CREAT | os.O_RDWR)
    fcntl.flock(held, fcntl.LOCK_EX)
    return made.rename(home / f"{name}-{made.name[1:]}"), held  # nobody sees it before it is locked


def _remove_unless_held(folder: Path) -> None:
    try:
        found = os.open(folder / _LOCK, os.O_RDWR)
    except FileNotFoundError:  # its program was killed while it removed it
        shutil.rmtree(folder, ignore_errors=True)
        return
    try:
        fcntl.flock(found, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder, ignore_errors=True)
    except BlockingIOError:
        pass  # its program lives
    finally:
        os.close(found)


def _shared(settings: Settings, name: str, folder: Path, java: str) -> dict[str, str]:
    """Return the settings of Spark that all programs share.

    A cluster's executors find our packages where they lie on this machine.
    """
    here = {f"spark.executorEnv.{each}": value for each in _FOR_EXECUTORS if (value := os.environ.get(each))}
    if on_loopback(settings):
        os.environ["SPARK_LOCAL_IP"] = _LOOPBACK
        here |= {"spark.driver.bindAddress": _LOOPBACK, "spark.driver.host": _LOOPBACK}
    return here | {
        "spark.master": settings.spark_master,
        "spark.app.name": f"segue-{name}",
        "spark.driver.memory": settings.spark_memory,
        "spark.executor.memory": settings.spark_memory,
        "spark.driver.extraJavaOptions": f"-Dderby.system.home={folder} {java}".strip(),
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.local.dir": str(folder / "local"),
        "spark.sql.warehouse.dir": str(folder / "warehouse"),
        "spark.log.level": "ERROR",
    }


def _start(conf: SparkConf) -> SparkSession:
    try:
        return SparkSession.builder.config(conf=conf).getOrCreate()
    except (PySparkException, Py4JError, OSError) as error:
        raise _not_started(error) from error


@contextmanager
def _silence() -> Iterator[None]:
    """Let Spark's client log nothing: what it says of a virtual machine that died is raised as well."""

    def others(record: logging.LogRecord) -> bool:
        return "py4j" not in record.pathname

    logging.getLogger("py4j").setLevel(logging.CRITICAL)
    root = logging.getLogger()  # part of it is logged there
    root.addFilter(others)
    try:
        yield
    finally:
        root.removeFilter(others)


@contextmanager
def _virtual_machine(values: Mapping[str, str], log: Path | None) -> Iterator[SparkConf]:
    """Yield the configuration; with a log, start the virtual machine before and end it afterwards."""
    conf = SparkConf(loadDefaults=False)
    conf.setAll(list(values.items()))
    if log is None or SparkContext._gateway is not None:
        yield conf  # Spark starts it itself, or it runs already
        return
    log.parent.mkdir(parents=True, exist_ok=True)
    try:
        with log.open("w") as file:
            gateway = launch_gateway(conf, {"stdout": file, "stderr": file})  # type: ignore[no-untyped-call]
    except (PySparkException, Py4JError, OSError) as error:
        raise _not_started(error) from error
    SparkContext._ensure_initialized(gateway=gateway, conf=conf)
    try:
        with _silence():
            yield conf
    finally:
        SparkContext._gateway = SparkContext._jvm = None
        _end(gateway)


def machine_lives() -> bool:
    """Tell whether the virtual machine still runs, to be asked after an error of its client."""
    gateway: Any = SparkContext._gateway
    if gateway is None:
        return False
    try:
        gateway.proc.wait(_DYING_S)
    except subprocess.TimeoutExpired:
        return True
    return False


def _end(gateway: Any) -> None:
    """End the virtual machine: it goes when its standard input does."""
    try:
        gateway.shutdown()
    except (Py4JError, OSError):
        pass  # it is gone already
    gateway.proc.stdin.close()
    try:
        gateway.proc.wait(_GRACE_S)
    except subprocess.TimeoutExpired:
        gateway.proc.kill()
        gateway.proc.wait()


def _not_started(error: Exception) -> MissingRequirement:
    return MissingRequirement(
        f"Spark did not start ({error}): install Java 17 or later and set JAVA_HOME or PATH; "
        "`segue doctor` says what is missing"
    )
