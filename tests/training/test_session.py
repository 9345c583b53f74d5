"""Spark's failures: of the data, or of what Spark needs."""

import asyncio
import errno
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyspark.sql import SparkSession

from schemas.errors import InvalidModel, SparkUnavailable
from schemas.settings import Settings
from tests.programs import QUICK_JAVA
from training import session
from training.configuration import TrainingConfig
from training.fit import fit
from training.session import in_spark


@pytest.fixture
def held(spark: SparkSession, monkeypatch: pytest.MonkeyPatch) -> SparkSession:
    """Let ``in_spark`` work in the run's session."""

    @contextmanager
    def opened(*_: Any, **__: Any) -> Iterator[SparkSession]:
        yield spark

    monkeypatch.setattr(session, "spark_session", opened)
    return spark


async def test_equations_that_no_number_solves_are_the_datas_fault(
    held: SparkSession, tmp_path: Path
) -> None:
    """Without regularisation, six factors of two tracks are not determined."""
    one = TrainingConfig(rank=6, reg_param=0.0, alpha=1.0, max_iter=2, seed=7, blocks=1)

    def work(spark: SparkSession) -> None:
        rows = [(user, item, 1.0) for user in range(3) for item in range(2)]
        fit(spark.createDataFrame(rows, "user int, item int, rating float"), one, 6)

    with pytest.raises(InvalidModel, match="Spark could not train"):
        await in_spark(Settings(data_dir=tmp_path), "train", work, blocks=1)


def dies(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    os.kill(os.getpid(), signal.SIGKILL)
    yield from batches


def finds_the_disk_full(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    yield from batches


@pytest.mark.parametrize("worker", [dies, finds_the_disk_full])
async def test_what_a_worker_of_spark_dies_of_may_be_tried_again(
    held: SparkSession, tmp_path: Path, worker: Callable[..., Iterator[pa.RecordBatch]]
) -> None:
    with pytest.raises(SparkUnavailable, match="Spark could not train"):
        await in_spark(
            Settings(data_dir=tmp_path),
            "train",
            lambda spark: spark.range(3).mapInArrow(worker, "id long").collect(),
            blocks=1,
        )


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"), MemoryError()])
async def test_a_full_disk_or_memory_on_this_side_may_be_tried_again(
    held: SparkSession, tmp_path: Path, error: Exception
) -> None:
    def work(_: SparkSession) -> None:
        raise error

    with pytest.raises(SparkUnavailable, match="Spark could not judge"):
        await in_spark(Settings(data_dir=tmp_path), "judge", work, blocks=1)


async def _cancelled(folder: str) -> None:
    """Cancel a job that would take ten minutes; a program of its own, for its session ends."""

    def work(spark: SparkSession) -> None:
        begun.set()
        spark.range(2).mapInArrow(_sleeps, "id long").collect()

    begun = asyncio.Event()
    settings = Settings(data_dir=Path(folder), spark_memory="512m")
    running = asyncio.create_task(in_spark(settings, "sleep", work, blocks=1))
    while not begun.is_set():
        await asyncio.sleep(0.1)
    running.cancel()
    try:
        await running
    except asyncio.CancelledError:
        print("cancelled", flush=True)


def _sleeps(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    import time

    time.sleep(600)
    yield from batches


def test_work_that_is_cancelled_ends_in_spark_too(tmp_path: Path) -> None:
    code = "import asyncio, sys; from tests.training.test_session import _cancelled as one\n"
    code += "asyncio.run(one(sys.argv[1]))"
    command = [sys.executable, "-c", code, str(tmp_path)]
    ended = subprocess.run(
        command, env=os.environ | QUICK_JAVA, capture_output=True, text=True, timeout=240, check=False
    )
    assert (ended.returncode, ended.stdout) == (0, "cancelled\n"), ended.stderr
