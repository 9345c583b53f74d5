"""The trainer and ``train`` as real processes, on a real log."""

import asyncio
import json
import os
import re
import signal
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest

from connections.documents import open_documents
from connections.log_topics import ensure_topics
from connections.log_writer import LogWriter
from connections.model_store import load_model, served
from recommender.encoding import EMPTY
from recommender.history import apply
from schemas import recommendations
from schemas.settings import Settings
from schemas.snapshots import Manifest
from schemas.topics import SNAPSHOTS
from tests.programs import QUICK_JAVA
from tests.training.conftest import WriteSnapshot
from tests.training.listeners import play, tasteful, user
from training.child import FAILED_EXIT, REFUSED_EXIT

ROOT = Path(__file__).resolve().parents[2]


def environment(settings: Settings) -> dict[str, str]:
    return (
        os.environ
        | QUICK_JAVA
        | {
            "SEGUE_DATA_DIR": str(settings.data_dir),
            "SEGUE_KAFKA_PORT": str(settings.kafka_port),
            "SEGUE_MONGODB_PORT": str(settings.mongodb_port),
            "SEGUE_TOPIC_PREFIX": settings.topic_prefix,
            "SEGUE_MONGODB_DATABASE": settings.mongodb_database,
            "SEGUE_SPARK_MEMORY": "512m",
            "SEGUE_RANK": "8",
            "SEGUE_MAX_ITER": "3",
            "SEGUE_LISTS_FOR_EVERYBODY": "false",
        }
    )


async def training_command(settings: Settings, *arguments: str) -> tuple[int, str, str]:
    """Return exit code, stdout and stderr of ``python -m training``."""
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "training", *arguments, cwd=ROOT, env=environment(settings),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, errors = await child.communicate()
    assert child.returncode is not None
    return child.returncode, out.decode(), errors.decode()


@asynccontextmanager
async def running_trainer(settings: Settings) -> AsyncIterator[psutil.Process]:
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "training", "trainer", cwd=ROOT, env=environment(settings)
    )
    try:
        yield psutil.Process(child.pid)
    finally:
        child.send_signal(signal.SIGTERM)
        try:
            assert await asyncio.wait_for(child.wait(), 20) == 0
        finally:
            if child.returncode is None:
                child.kill()


async def until(found: Callable[[], Awaitable[bool]], timeout_s: float = 240.0) -> None:
    end = time.monotonic() + timeout_s
    while not await found():
        assert time.monotonic() < end, "it did not happen in time"
        await asyncio.sleep(0.2)


async def announce(settings: Settings, manifest: Manifest) -> None:
    ready = recommendations.SnapshotReady(
        snapshot_id=manifest.snapshot_id, generation=manifest.generation, cut=manifest.cut, server_time_ms=1
    )
    async with LogWriter(settings) as writer:
        await writer.append(SNAPSHOTS, [(manifest.snapshot_id.encode(), recommendations.encode(ready))])


@pytest.mark.slow
async def test_a_snapshot_that_is_announced_becomes_a_served_model(
    settings: Settings, write_snapshot: WriteSnapshot
) -> None:
    generation = await ensure_topics(settings)
    async with open_documents(settings) as database, running_trainer(settings) as trainer:
        await asyncio.sleep(3)
        assert "java" not in {child.name() for child in trainer.children(recursive=True)}
        manifest = write_snapshot(settings, generation, tasteful())
        await announce(settings, manifest)

        async def is_served() -> bool:
            return await served(database) is not None

        await until(is_served)
        pointer = await served(database)
        assert pointer is not None
        model = await load_model(database, pointer["model_id"])
        assert model.rank == 8
        assert len(model.track_ids) == 48
    code, out, errors = await training_command(settings, "train", "--json")
    again = json.loads(out)
    assert (code, again["model_id"], again["state"]) == (0, pointer["model_id"], "published")
    assert "exactly these inputs" in errors
    # nothing of Spark stays on the disk but its last log
    assert list((settings.data_dir / "spark").iterdir()) == []


@pytest.mark.slow
async def test_sigterm_ends_the_trainer_and_the_virtual_machine_that_it_started(
    settings: Settings, write_snapshot: WriteSnapshot
) -> None:
    generation = await ensure_topics(settings)
    write_snapshot(settings, generation, tasteful())
    async with open_documents(settings) as database:
        async with running_trainer(settings) as trainer:

            async def is_in_spark() -> bool:
                assert await served(database) is None
                return "java" in {child.name() for child in trainer.children(recursive=True)}

            await until(is_in_spark)
            started = trainer.children(recursive=True)
        _gone, alive = psutil.wait_procs(started, timeout=10)
        assert alive == []
        assert await served(database) is None


@pytest.mark.parametrize("arguments", [("train", "--snapshot", "missing", "--json"), ("evaluate",)])
async def test_without_a_snapshot_one_sentence_says_so(
    settings: Settings, arguments: tuple[str, ...]
) -> None:
    await ensure_topics(settings)
    code, out, errors = await training_command(settings, *arguments)
    assert (code, out) == (1, "")
    [sentence] = errors.strip().splitlines()
    assert sentence.startswith("segue: there is no complete snapshot")
    assert "run `segue snapshot`" in sentence


async def test_a_refused_training_says_why_and_exits_with_1(
    settings: Settings, write_snapshot: WriteSnapshot
) -> None:
    generation = await ensure_topics(settings)
    write_snapshot(settings, generation, tasteful(3))
    code, out, errors = await training_command(settings, "train")
    assert (code, out) == (1, "")
    assert "holds 3 users, too few to learn from; 5 are needed" in errors.splitlines()[-1]
    async with open_documents(settings) as database:
        job = await database["jobs"].find_one({})
        assert job is not None
        assert (job["kind"], job["state"]) == ("training", "refused")


@pytest.mark.slow
async def test_what_cannot_be_trained_on_leaves_the_served_model_where_it_is(
    settings: Settings, write_snapshot: WriteSnapshot
) -> None:
    """F22 in service: a damaged part, and a snapshot in which everybody only skips."""
    generation = await ensure_topics(settings)
    write_snapshot(settings, generation, tasteful())
    code, _, errors = await training_command(settings, "train")
    assert code == 0, errors
    async with open_documents(settings) as database:
        good = await served(database)
        assert good is not None
        write_snapshot(settings, generation, tasteful(41), "s-0002")
        for part in settings.data_dir.rglob("s-0002/part-*.parquet"):
            part.write_bytes(part.read_bytes()[:-30])
        skipped = {user(number): apply(EMPTY, play(1, 1_700_000_000_000, heard=0.1)) for number in range(30)}
        write_snapshot(settings, generation, skipped, "s-0003")
        for snapshot_id, why in (
            ("s-0002", r"segue: .*part-\d\d\.parquet: .*"),
            ("s-0003", r"segue: 0 users with 0 tracks are too few to learn from; .* are needed"),
        ):
            code, out, errors = await training_command(settings, "train", "--snapshot", snapshot_id)
            assert (code, out) == (1, "")
            assert "Traceback" not in errors
            assert re.fullmatch(why, errors.splitlines()[-1]), errors
            assert await served(database) == good
        assert (await load_model(database, good["model_id"])).rank == 8


@pytest.mark.parametrize(("snapshot", "code"), [("newest", REFUSED_EXIT), ("missing", FAILED_EXIT)])
async def test_the_trainer_is_told_whether_to_try_again(
    settings: Settings, write_snapshot: WriteSnapshot, snapshot: str, code: int
) -> None:
    generation = await ensure_topics(settings)
    write_snapshot(settings, generation, tasteful(3))
    found, _, _ = await training_command(settings, "train", "--in-process", "--snapshot", snapshot)
    assert found == code


async def test_a_training_past_its_deadline_is_ended(
    settings: Settings, write_snapshot: WriteSnapshot
) -> None:
    generation = await ensure_topics(settings)
    write_snapshot(settings, generation, tasteful())
    os.environ["SEGUE_TRAIN_DEADLINE_S"] = "2"
    try:
        code, _, errors = await training_command(settings, "train")
    finally:
        del os.environ["SEGUE_TRAIN_DEADLINE_S"]
    assert code == 1
    assert "ended after 2 s" in errors


async def job_of(settings: Settings) -> dict[str, object]:
    async with open_documents(settings) as database:
        [job] = await database["jobs"].find().to_list(None)
        return dict(job)


async def test_a_training_above_its_memory_limit_is_ended_and_says_so(
    settings: Settings, write_snapshot: WriteSnapshot
) -> None:
    generation = await ensure_topics(settings)
    write_snapshot(settings, generation, tasteful())
    os.environ["SEGUE_TRAIN_MEMORY_BYTES"] = "350000000"  # the virtual machine needs more than Python leaves
    try:
        code, out, errors = await training_command(settings, "train")
    finally:
        del os.environ["SEGUE_TRAIN_MEMORY_BYTES"]
    assert (code, out) == (1, "")
    sentence = errors.strip().splitlines()[-1]
    assert "MiB of memory, and SEGUE_TRAIN_MEMORY_BYTES allows 334 MiB" in sentence
    job = await job_of(settings)
    assert (job["state"], sentence.endswith(str(job["message"]))) == ("failed", True)
