"""Snapshots with known taste in them, one Spark session for the run."""

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import pytest
from pyspark.sql import SparkSession

from connections.snapshot_store import SnapshotStore
from recommender.history import FOLD_VERSION, History, apply
from schemas import events
from schemas.settings import Settings
from schemas.snapshots import Manifest, PartHeader
from training.session import spark_session

PARTITIONS = 12
STYLES, TRACKS, LISTENERS = 6, 48, 40
Histories = dict[str, History]
WriteSnapshot = Callable[..., Manifest]


def user(number: int) -> str:
    """Return a user id."""
    return hashlib.blake2b(f"user:{number}".encode(), digest_size=16).hexdigest()


def play(track_id: int, time_ms: int, *, heard: float = 1.0) -> events.Play:
    """Return a play of a track of three minutes, heard to that share."""
    return events.Play(
        session="s",
        seq=0,
        client_time_ms=time_ms,
        server_time_ms=time_ms,
        track_id=track_id,
        listened_ms=int(180_000 * heard),
        track_ms=180_000,
        end_reason="finished" if heard == 1.0 else "skipped",
    )


def imported(track_id: int, count: int) -> events.ImportedListens:
    """Return imported listens without a time."""
    return events.ImportedListens(
        session="s", seq=0, client_time_ms=0, server_time_ms=1, source="test", track_id=track_id, count=count
    )


def tasteful(listeners: int = LISTENERS, seed: int = 3, *, timed: bool = True) -> Histories:
    """Return histories like the demo's: 48 tracks in six styles, each listener fond of two styles.

    Of a listener's 60 plays, nine in ten are of a liked style (track id modulo 6).
    """
    random = np.random.default_rng(seed)
    found = {}
    for number in range(listeners):
        liked = random.choice(STYLES, 2, replace=False)
        history = History.empty()
        for turn in range(60):
            style = random.choice(liked) if random.random() < 0.9 else random.integers(STYLES)
            track_id = int(1 + style + STYLES * random.integers(TRACKS // STYLES))
            time_ms = 1_700_000_000_000 + turn * 3_600_000
            event = play(track_id, time_ms) if timed else imported(track_id, 1 + turn)
            history = apply(history, event)
        found[user(number)] = history
    return found


@pytest.fixture
def write_snapshot() -> WriteSnapshot:
    """Return a function that writes a complete snapshot of given histories."""

    def write(
        settings: Settings, generation: str, histories: Mapping[str, History], snapshot_id: str = "s-0001",
        *, applied: int = 1_000, fold_version: str = FOLD_VERSION,
    ) -> Manifest:  # fmt: skip
        store = SnapshotStore(settings.snapshot_location)
        headers = []
        for partition in range(PARTITIONS):
            rows = [(u, histories[u].to_bytes()) for u in sorted(histories) if int(u, 16) % PARTITIONS == partition]
            header = PartHeader(
                generation=generation,
                snapshot_id=snapshot_id,
                partition=partition,
                cut=1,
                fold_version=fold_version,
                digest=hashlib.sha256(b"".join(data for _, data in rows)).hexdigest(),
                model_id=None,
                model_seq=0,
                counts={"applied": applied if partition == 0 else 0},
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

    return write


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    """Return the one Spark session of the run."""
    folder: Path = tmp_path_factory.mktemp("spark")
    with spark_session(Settings(data_dir=folder, spark_master="local[2]")) as session:
        yield session
