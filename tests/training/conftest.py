"""Real snapshots, and one Spark session for the run."""

import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from connections.documents import Database, ensure_indexes, open_documents
from connections.log_topics import ensure_topics
from connections.snapshot_store import SnapshotStore
from recommender.history import FOLD_VERSION
from recommender.partition import PartitionState
from schemas.settings import Settings
from schemas.snapshots import Manifest, PartHeader
from tests.programs import QUICK_JAVA
from training.session import spark_session

PARTITIONS = 12
WriteSnapshot = Callable[..., Manifest]


def snapshot_of(
    settings: Settings, generation: str, histories: Mapping[str, bytes], snapshot_id: str = "s-0001",
    *, applied: int = 1_000, fold_version: str = FOLD_VERSION,
) -> Manifest:  # fmt: skip
    """Write a complete snapshot of these histories and return its manifest."""
    store = SnapshotStore(settings.snapshot_location)
    headers = []
    for partition in range(PARTITIONS):
        here = [user for user in sorted(histories) if int(user, 16) % PARTITIONS == partition]
        rows = [(user, histories[user]) for user in here]
        counts = {"applied": applied if partition == 0 else 0}
        state = PartitionState(
            partition=partition,
            position=1,
            generation=generation,
            histories=dict(rows),
            counts=Counter(counts),
        )
        header = PartHeader(
            generation=generation,
            snapshot_id=snapshot_id,
            partition=partition,
            cut=1,
            fold_version=fold_version,
            digest=state.digest(),
            model_id=None,
            model_seq=0,
            counts=counts,
            users=len(rows),
        )
        store.write_part(header, rows)
        headers.append(header)
    manifest = Manifest(
        snapshot_id=snapshot_id,
        generation=generation,
        fold_version=fold_version,
        schema_version=1,
        code_version="test",
        created_ms=time.time_ns() // 1_000_000,
        parts=headers,
    )
    store.write_manifest(manifest)
    return manifest


@pytest.fixture
async def database(settings: Settings) -> AsyncIterator[Database]:
    """Yield the documents of a world that has its topics and indexes."""
    await ensure_topics(settings)
    async with open_documents(settings) as opened:
        await ensure_indexes(opened)
        yield opened


@pytest.fixture
def write_snapshot() -> WriteSnapshot:
    """Return the function that writes a complete snapshot of given histories."""
    return snapshot_of


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    """Return the one Spark session of the run."""
    folder: Path = tmp_path_factory.mktemp("spark")
    with ExitStack() as running:
        with pytest.MonkeyPatch.context() as patched:
            for name, value in QUICK_JAVA.items():
                patched.setenv(name, value)
            settings = Settings(data_dir=folder, spark_master="local[2]")
            session = running.enter_context(spark_session(settings))
        yield session
