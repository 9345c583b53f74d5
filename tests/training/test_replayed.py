"""A snapshot that was made by replay is the trainer's input like any other, but never its newest."""

import asyncio
import json
import threading

import numpy as np
import pytest
from pyspark.sql import SparkSession
from rich.console import Console

from agents.replay.run import Request, replay
from connections.documents import open_documents
from connections.log_topics import ensure_topics
from connections.log_writer import LogWriter
from connections.model_store import model_document, served
from connections.snapshot_store import SnapshotStore
from schemas import events
from schemas.errors import InvalidSnapshot
from schemas.settings import Settings
from schemas.topics import PLAYS
from tests.training.conftest import WriteSnapshot
from tests.training.listeners import play, tasteful, user
from tests.training.test_trainer import training_command
from training.configuration import TrainingConfig
from training.inputs import NEWEST, find_snapshot, part_uris
from training.interactions import prepared_users

_T_MS = 1_700_000_000_000


async def test_spark_reads_what_a_replay_folded(
    settings: Settings, spark: SparkSession, write_snapshot: WriteSnapshot
) -> None:
    generation = await ensure_topics(settings)
    made = [
        (user(number), events.encode(play(1 + (number + turn) % 7, _T_MS + turn * 1_000, seq=turn)))
        for number in range(6)
        for turn in range(5)
    ]
    async with LogWriter(settings) as writer:
        await writer.append(PLAYS, [(name.encode(), value) for name, value in made])
    request = Request(processes=1)
    result = await asyncio.to_thread(replay, settings, request, Console(quiet=True), threading.Event())
    store = SnapshotStore(settings.snapshot_location)

    manifest = find_snapshot(store, generation, result["snapshot_id"])
    config = TrainingConfig.from_settings(settings)
    rows = prepared_users(spark, part_uris(store, manifest), config).select("user_id", "track_ids").collect()

    assert manifest.holds_until_ms == _T_MS + 4_000
    assert manifest.created_ms > manifest.holds_until_ms
    assert {row["user_id"]: sorted(row["track_ids"]) for row in rows} == {
        user(number): sorted(1 + (number + turn) % 7 for turn in range(5)) for number in range(6)
    }
    with pytest.raises(InvalidSnapshot, match="there is no complete snapshot of this log"):
        find_snapshot(store, generation, NEWEST)
    theirs = write_snapshot(settings, generation, tasteful(5))
    assert find_snapshot(store, generation, NEWEST) == theirs
    assert theirs.holds_until_ms == theirs.created_ms


@pytest.mark.slow
async def test_a_model_is_trained_from_a_replay_alone_and_published(settings: Settings) -> None:
    """No worker ever ran: the log is folded, and the command trains on that."""
    await ensure_topics(settings)
    draw = np.random.default_rng(3)
    made = [
        (user(number), play(1 + number % 4 + 4 * int(draw.integers(8)), _T_MS + turn * 60_000, seq=turn))
        for number in range(40)
        for turn in range(30)
    ]
    async with LogWriter(settings) as writer:
        await writer.append(PLAYS, [(name.encode(), events.encode(value)) for name, value in made])
    request = Request(processes=1)
    result = await asyncio.to_thread(replay, settings, request, Console(quiet=True), threading.Event())

    code, out, errors = await training_command(
        settings, "train", "--snapshot", result["snapshot_id"], "--json"
    )

    assert code == 0, errors
    told = json.loads(out)
    assert (told["state"], told["snapshot_id"]) == ("published", result["snapshot_id"])
    async with open_documents(settings) as database:
        pointer = await served(database)
        assert pointer is not None
        assert pointer["model_id"] == told["model_id"]
        document = await model_document(database, told["model_id"])
        assert document is not None
        assert document["metrics"]["snapshot"]["holds_until_ms"] == _T_MS + 29 * 60_000
