"""Spark computes with the machine code that set-up fetched."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from pyspark.sql import SparkSession

from connections.native_blas import native_blas
from schemas.settings import Settings
from training.session import spark_session


@pytest.mark.parametrize("blocks", [1, 4])
def test_a_collector_that_the_environment_names_is_kept(monkeypatch: pytest.MonkeyPatch, blocks: int) -> None:
    """Java does not start when two are named."""
    given: list[str] = []

    @contextmanager
    def opened(*_: Any, java: str) -> Iterator[None]:
        given.append(java)
        yield

    monkeypatch.setattr("training.session.open_session", opened)
    for name in ("JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS", "SPARK_SUBMIT_OPTS"):
        monkeypatch.delenv(name, raising=False)
    with spark_session(Settings(), blocks=blocks):
        monkeypatch.setenv("JDK_JAVA_OPTIONS", "-Xss2m -XX:+UseZGC")
    with spark_session(Settings(), blocks=blocks):
        pass

    assert ["GC" in java for java in given] == [True, False]


def test_spark_uses_openblas_for_matrices(spark: SparkSession) -> None:
    if native_blas() is None:
        pytest.skip("there is no OpenBLAS for this machine")
    machine: Any = spark._jvm
    used = machine.dev.ludovic.netlib.blas.NativeBLAS.getInstance()
    assert used.getClass().getSimpleName() == "JNIBLAS"
