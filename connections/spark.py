"""A Spark session: start of the virtual machine, folders, end. Imported only by programs that use Spark."""

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from py4j.protocol import Py4JError  # type: ignore[import-untyped]
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from connections.python_path import python_path
from schemas.errors import MissingRequirement
from schemas.settings import Settings

_LOOPBACK = "127.0.0.1"


def spark_log(settings: Settings) -> Path:
    """Return where the virtual machine's own messages go."""
    return settings.data_dir.resolve() / "logs" / "spark.log"


@contextmanager
def open_session(
    settings: Settings, name: str, values: Mapping[str, str], *, java: str = "", loopback: bool = True
) -> Iterator[SparkSession]:
    """Yield a Spark session on ``SEGUE_SPARK_MASTER`` whose folders are removed afterwards.

    Parameters
    ----------
    name : of the program; its folders begin so
    values : settings of Spark beside those that all programs share
    java : further options of the virtual machine
    loopback : nothing listens outside this machine; a cluster of several needs False

    Raises
    ------
    MissingRequirement
        The Java virtual machine did not start.
    """
    home = settings.data_dir.resolve() / "spark"
    home.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=home))
    os.environ["PYSPARK_PYTHON"] = os.environ["PYSPARK_DRIVER_PYTHON"] = sys.executable
    os.environ["PYTHONPATH"] = python_path()  # Spark's Python workers import our packages
    here = {}
    if loopback:
        os.environ["SPARK_LOCAL_IP"] = _LOOPBACK
        here = {"spark.driver.bindAddress": _LOOPBACK, "spark.driver.host": _LOOPBACK}
    shared = {
        "spark.driver.memory": settings.spark_memory,
        "spark.driver.extraJavaOptions": f"-Dderby.system.home={folder} {java}".strip(),
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.local.dir": str(folder / "local"),
        "spark.sql.warehouse.dir": str(folder / "warehouse"),
        "spark.log.level": "ERROR",
    }
    try:
        spark = _start(settings.spark_master, f"segue-{name}", {**here, **shared, **values})
        try:
            spark.sparkContext.setCheckpointDir((folder / "checkpoints").as_uri())
            yield spark
        finally:
            spark.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _start(master: str, name: str, values: Mapping[str, str]) -> SparkSession:
    builder = SparkSession.builder.master(master).appName(name)
    for key, value in values.items():
        builder = builder.config(key, value)
    try:
        return builder.getOrCreate()
    except (PySparkException, Py4JError, OSError) as error:
        raise MissingRequirement(
            f"Spark did not start ({error}): install Java 17 or later and set JAVA_HOME or PATH; "
            "`segue doctor` says what is missing"
        ) from error
