"""Spark on loopback. Imported by the child alone."""

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from py4j.protocol import Py4JError  # type: ignore[import-untyped]
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from schemas.errors import MissingRequirement
from schemas.settings import Settings
from training.child import python_path

_LOOPBACK = "127.0.0.1"


@contextmanager
def spark_session(settings: Settings, *, blocks: int = 4) -> Iterator[SparkSession]:
    """Yield a Spark session whose folders are removed afterwards.

    With one block the virtual machine uses its fast compiler and its smallest collector: that halves the
    processor time of a training on a few dozen users, most of which is start-up.

    Raises
    ------
    MissingRequirement
        The Java virtual machine did not start.
    """
    home = settings.data_dir.resolve() / "spark"
    home.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="training-", dir=home))
    os.environ["PYSPARK_PYTHON"] = os.environ["PYSPARK_DRIVER_PYTHON"] = sys.executable
    os.environ["SPARK_LOCAL_IP"] = _LOOPBACK
    os.environ["PYTHONPATH"] = python_path()  # Spark's Python workers import our packages
    try:
        spark = _start(settings, folder, blocks)
        try:
            yield spark
        finally:
            spark.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _start(settings: Settings, folder: Path, blocks: int) -> SparkSession:
    java = f"-Dderby.system.home={folder}"
    if blocks == 1:
        java += " -XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
    values = {
        "spark.driver.bindAddress": _LOOPBACK,
        "spark.driver.host": _LOOPBACK,
        "spark.driver.memory": settings.spark_memory,
        "spark.driver.extraJavaOptions": java,
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.local.dir": str(folder / "local"),
        "spark.sql.warehouse.dir": str(folder / "warehouse"),
        "spark.sql.shuffle.partitions": str(blocks),
        "spark.default.parallelism": str(blocks),
        "spark.sql.session.timeZone": "UTC",
        # the queries are a few small ones: planning them again or compiling them costs more than it saves
        "spark.sql.adaptive.enabled": "false",
        "spark.sql.codegen.wholeStage": "false",
        "spark.sql.execution.arrow.maxRecordsPerBatch": "1000",
        "spark.log.level": "ERROR",
    }
    builder = SparkSession.builder.master(settings.spark_master).appName("segue-training")
    for name, value in values.items():
        builder = builder.config(name, value)
    try:
        spark = builder.getOrCreate()
    except (PySparkException, Py4JError, OSError) as error:
        raise MissingRequirement(
            f"Spark did not start ({error}): install Java 17 or later and set JAVA_HOME or PATH; "
            "`segue doctor` says what is missing"
        ) from error
    spark.sparkContext.setCheckpointDir((folder / "checkpoints").as_uri())
    return spark


def spark_log(settings: Settings) -> Path:
    """Return where the virtual machine's own messages go."""
    return settings.data_dir.resolve() / "logs" / "spark.log"


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
