"""F5 and F10: mongod killed under a publication, a training killed at five stages.

After each kill the served model is the one before, or the new one and complete; the next run cleans up.
"""

import asyncio
import random
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from connections.documents import Database, ensure_indexes, open_documents
from connections.event_log import LogReader
from connections.log_topics import ensure_topics
from connections.model_store import load_model, prune_models, served
from recommender.model import canonical_arrays, model_digest
from schemas import events
from schemas.documents import DECISIONS, JOBS, LEASES, MODEL_CHUNKS, MODEL_REPORTS, MODELS
from schemas.errors import DocumentsUnavailable
from schemas.settings import Settings
from schemas.topics import PLAYS_PARTITIONS
from stack.child import Child
from stack.mongod import mongod_is_primary, prepare_mongod
from stack.parts import wait_until_ready
from stack.ports import free_ports
from tests.faults.killed_training import AFTER, BEFORE, WRITING
from tests.faults.ledger import LONG, ROUNDS, Ledger, Tally
from tests.programs import environment
from tests.training.conftest import snapshot_of
from tests.training.listeners import tasteful
from tests.training.test_publication import ASKED, model
from training.publication import publish

KILLS = 4 * ROUNDS if LONG else 1
LOADING, FITTING = "loading", "fitting"
STAGES = (LOADING, FITTING, WRITING, BEFORE, AFTER)
_BEGINS = {LOADING: "(starting Spark|reading the snapshot)", FITTING: "fitting on"}


class Training:
    """Runs trainings on one world, and looks at what they left."""

    def __init__(self, settings: Settings, database: Database) -> None:
        # so many iterations that another seed gives a model as good: with two the gate may refuse it
        self.settings = settings.model_copy(
            update={"rank": 6, "max_iter": 10, "spark_memory": "512m", "models_kept": 2}
        )
        self.database = database

    async def start(self, seed: int, *trap: str) -> asyncio.subprocess.Process:
        module = ("tests.faults.killed_training", *trap) if trap else ("training",)
        # a lease outlives its holder by 30 s: here they have passed
        await self.database[LEASES.name].delete_many({})
        return await asyncio.create_subprocess_exec(
            sys.executable, "-m", *module, "train", "--in-process", "--seed", str(seed), "--json",
            env=environment(self.settings), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip

    async def killed(self, stage: str, seed: int, draw: random.Random) -> None:
        """Run a training that is killed at a stage; its virtual machine goes too."""
        if stage in _BEGINS:
            process = await self.start(seed)
            await self._until(stage, process)
            await asyncio.sleep(draw.uniform(0.0, 0.5))
            started = psutil.Process(process.pid).children(recursive=True)
            process.kill()
            await process.communicate()
        else:
            kept = "-" if LONG else str(self.settings.data_dir / "learned")
            process = await self.start(seed, stage, str(draw.randrange(5)), kept)
            started = []
            while process.returncode is None:
                started = _below(process.pid) or started
                await asyncio.sleep(0.1)
            _, said = await process.communicate()
        assert process.returncode == -9, said.decode() if stage not in _BEGINS else stage
        _, alive = psutil.wait_procs(started, timeout=60)
        assert [one.name() for one in alive if one.status() != psutil.STATUS_ZOMBIE] == []

    async def _until(
        self, stage: str, process: asyncio.subprocess.Process, hung_after_s: float = 300.0
    ) -> None:
        step = {"pid": process.pid, "step": {"$regex": f"^{_BEGINS[stage]}"}}
        until = time.monotonic() + hung_after_s
        while await self.database[JOBS.name].find_one(step) is None:
            assert process.returncode is None, "it ended before that stage"
            assert time.monotonic() < until
            await asyncio.sleep(0.02)

    async def done(self, seed: int) -> tuple[int, str]:
        """Run a training in peace; return exit code and what it said."""
        process = await self.start(seed)
        _, said = await process.communicate()
        assert process.returncode is not None
        return process.returncode, said.decode()

    async def in_service(self) -> str:
        """Return the served model after loading every byte of it."""
        pointer = await served(self.database)
        assert pointer is not None
        return (await load_model(self.database, pointer["model_id"])).model_id

    async def is_clean(self) -> None:
        """Assert that nothing of a killed run is left."""
        assert await self.database[JOBS.name].count_documents({"state": "running"}) == 0
        known = {one["_id"] async for one in self.database[MODELS.name].find({}, {"_id": 1})}
        assert set(await self.database[MODEL_CHUNKS.name].distinct("model_id")) <= known
        assert set(await self.database[MODEL_REPORTS.name].distinct("_id")) <= known
        assert list((self.settings.data_dir / "spark").iterdir()) == []
        pointer = await served(self.database)
        assert pointer is not None
        assert (
            await last_activations(self.settings)
            == [(pointer["model_id"], pointer["seq"])] * PLAYS_PARTITIONS
        )
        decided = await self.database[DECISIONS.name].find_one({"seq": pointer["seq"]})
        assert decided is not None
        assert decided["model_id"] == pointer["model_id"]


def _below(pid: int) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


async def last_activations(settings: Settings) -> list[tuple[str, int]]:
    """Return (model id, seq) of the last record of each partition."""
    found = []
    async with LogReader(settings) as reader:
        for partition, end in sorted((await reader.end_offsets()).items()):
            last = [one async for some in reader.read(partition, end - 1, end) for one in some][-1]
            record = events.decode(last.value)
            assert isinstance(record, events.Activate)
            found.append((record.model_id, record.seq))
    return found


@pytest.mark.slow
@pytest.mark.timeout(900 + 150 * KILLS)
async def test_f10_a_training_killed_at_any_stage_leaves_a_complete_model_in_service(
    settings: Settings, ledger: Ledger
) -> None:
    generation = await ensure_topics(settings)
    async with open_documents(settings) as database:
        await ensure_indexes(database)
        document, arrays = model(1)
        await publish(settings, database, document | {"generation": generation}, arrays, ASKED)
        snapshot_of(settings, generation, tasteful())
        training = Training(settings, database)
        for _ in range(KILLS):
            ledger.note(await killed_at_each_stage(training, ledger.next_seed("F10")))


async def killed_at_each_stage(training: Training, seed: int) -> Tally:
    """Kill a training at each stage; then the next one cleans up."""
    tally = Tally("F10", "SIGKILL of a training at five stages", seed, notes={"stages": len(STAGES)})
    draw = random.Random(f"F10/{seed}")
    for number, stage in enumerate(STAGES):
        before = await training.in_service()
        await training.killed(stage, 1_000 * seed + number, draw)
        tally.kills += 1
        now = await training.in_service()
        assert (now != before) == (stage == AFTER), stage
    began = time.monotonic()
    code, said = await training.done(1_000 * seed + number)
    assert (code, "exactly these inputs" in said) == (0, True), said
    tally.recovery_s.append(time.monotonic() - began)
    await training.is_clean()
    return tally


@pytest.fixture
async def own_mongod(settings: Settings, tmp_path: Path) -> AsyncIterator[tuple[Settings, list[Child]]]:
    """Yield settings and a mongod of the test's own, beside the session's Kafka."""
    own = settings.model_copy(update={"data_dir": tmp_path / "own", "mongodb_port": free_ports(1)[0]})
    child = [Child(prepare_mongod(own))]
    try:
        await wait_until_ready(child[0], lambda: mongod_is_primary(own))
        yield own, child
    finally:
        child[0].stop()


def large(number: int, generation: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return a model of 13 MB: four chunks of factors."""
    rows = np.random.default_rng(number).normal(size=(50_000, 64))
    arrays = canonical_arrays(np.arange(1, 50_001), rows, np.ones(50_000, bool), np.ones(50_000))
    parameters = {"rank": 64, "reg_param": 0.1, "alpha": 1.0, "max_iter": 3}
    document = parameters | {
        "_id": model_digest(arrays, parameters), "training_id": f"t{number}", "snapshot_id": "s",
        "generation": generation, "metrics": {}, "created_ms": number,
    }  # fmt: skip
    return document, arrays


@pytest.mark.slow
@pytest.mark.timeout(200 + 60 * KILLS)
async def test_f5_mongod_killed_under_a_publication_leaves_a_complete_model_in_service(
    own_mongod: tuple[Settings, list[Child]], ledger: Ledger
) -> None:
    settings, mongod = own_mongod
    generation = await ensure_topics(settings)
    tally = Tally("F5", "SIGKILL of mongod under a publication", ledger.next_seed("F5"))
    draw = random.Random(f"F5/{tally.seed}")
    async with open_documents(settings) as database:
        await ensure_indexes(database)
        first = large(0, generation)
        began = time.monotonic()
        await publish(settings, database, *first, ASKED)
        whole_s = time.monotonic() - began
        before = first[0]["_id"]
        refused = 0
        for number in range(1, KILLS + 1):
            new = large(number, generation)
            publishing = asyncio.create_task(publish(settings, database, *new, ASKED))
            await asyncio.sleep(draw.uniform(0.0, 0.8) * whole_s)
            mongod[0].kill()
            killed_s = time.monotonic()
            tally.kills += 1
            mongod[0] = Child(prepare_mongod(settings))
            await wait_until_ready(mongod[0], lambda: mongod_is_primary(settings))
            try:
                await publishing
            except DocumentsUnavailable:
                refused += 1
            pointer = await served(database)
            assert pointer is not None
            assert pointer["model_id"] in (before, new[0]["_id"])
            assert (await load_model(database, pointer["model_id"])).model_id == pointer["model_id"]
            await publish(settings, database, *new, ASKED)
            tally.recovery_s.append(time.monotonic() - killed_s)
            before = new[0]["_id"]
            pointer = await served(database)
            assert pointer is not None
            assert pointer["model_id"] == before
            assert await last_activations(settings) == [(before, pointer["seq"])] * PLAYS_PARTITIONS
            await prune_models(database, 2)
        tally.notes["publications that failed"] = refused
        ledger.note(tally)
