"""F5: mongod killed under a publication: the served model is the one before, or the new one and complete."""

import asyncio
import random
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from connections.documents import ensure_indexes, open_documents
from connections.event_log import LogReader
from connections.log_topics import ensure_topics
from connections.model_store import load_model, prune_models, served
from recommender.model import canonical_arrays, model_digest
from schemas import events
from schemas.errors import DocumentsUnavailable
from schemas.settings import Settings
from schemas.topics import PLAYS_PARTITIONS
from stack.child import Child
from stack.mongod import mongod_is_primary, prepare_mongod
from stack.parts import wait_until_ready
from stack.ports import free_ports
from tests.faults.ledger import LONG, ROUNDS, Ledger, Tally
from tests.training.test_publication import ASKED
from training.publication import publish

KILLS = 4 * ROUNDS if LONG else 1


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
