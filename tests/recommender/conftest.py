"""One small real Spark session for the contract tests of the mathematics."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def pytest_configure(config: pytest.Config) -> None:
    """Name the mark of tests that start Spark."""
    config.addinivalue_line("markers", "spark: fits with a real Spark session")


@pytest.fixture(scope="module")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    """Run Spark on one core; its virtual machine ends with it, for later tests need another."""
    from connections.spark import open_session
    from schemas.settings import Settings

    folder = tmp_path_factory.mktemp("spark")
    settings = Settings(data_dir=folder, spark_master="local[1]", spark_memory="512m")
    values = {"spark.sql.shuffle.partitions": "1"}
    with open_session(settings, "mathematics", values, log=folder / "spark.log") as session:
        yield session
