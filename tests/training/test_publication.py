"""Publication to a real mongod and a real Kafka, and what a kill in the middle of it leaves."""

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from connections.documents import Database
from connections.event_log import LogReader
from connections.model_store import load_model, save_model, served
from recommender.model import canonical_arrays, model_digest
from schemas import events
from schemas.documents import MODEL_CHUNKS
from schemas.errors import InvalidInput, InvalidModel
from schemas.settings import Settings
from schemas.topics import PLAYS_PARTITIONS
from training import publication
from training.decisions import Asked, decisions_about
from training.inputs import log_generation, read_served
from training.lease import training_lease
from training.models import all_models, one_model
from training.publication import finish_activation, promote, publish, rollback

ROOT = Path(__file__).resolve().parents[2]
ASKED = Asked("tester", "a test")
PARAMETERS = {"rank": 4, "reg_param": 0.1, "alpha": 1.0, "max_iter": 3}
METRICS = {"model": {"ndcg_at_10": {"value": 0.5}}, "snapshot": {"applied": 10}}


def model(number: int, generation: str = "g") -> tuple[dict[str, Any], dict[str, Any]]:
    """Return a document and arrays that belong together."""
    rows = np.random.default_rng(number).normal(size=(20, 4))
    arrays = canonical_arrays(np.arange(1, 21), rows, np.ones(20, bool), np.ones(20))
    document = PARAMETERS | {
        "_id": model_digest(arrays, PARAMETERS),
        "training_id": "t",
        "snapshot_id": "s",
        "generation": generation,
        "metrics": METRICS,
        "created_ms": number,
    }
    return document, arrays


async def activations(settings: Settings) -> list[list[tuple[str, int]]]:
    """Return (model id, seq) of the ``Activate`` records of each partition."""
    found = []
    async with LogReader(settings) as reader:
        ends = await reader.end_offsets()
        for partition in range(PLAYS_PARTITIONS):
            decoded = [
                events.decode(record.value)
                async for records in reader.read(partition, 0, ends[partition])
                for record in records
            ]
            found.append([(one.model_id, one.seq) for one in decoded if isinstance(one, events.Activate)])
    return found


async def test_a_published_model_is_served_and_activated_in_every_partition(
    settings: Settings, database: Database
) -> None:
    document, arrays = model(1)
    pointer = await publish(settings, database, document, arrays, ASKED)
    loaded = await load_model(database, document["_id"])
    np.testing.assert_array_equal(loaded.factor_rows, arrays["item_factors"])
    assert await activations(settings) == [[(document["_id"], pointer["seq"])]] * PLAYS_PARTITIONS
    assert not await finish_activation(settings, database)


async def test_rollback_and_promotion_are_activations_with_greater_numbers(
    settings: Settings, database: Database
) -> None:
    generation = await log_generation(settings)
    first, second = model(1, generation), model(2, generation)
    await publish(settings, database, *first, ASKED)
    await publish(settings, database, *second, ASKED)
    assert (await rollback(settings, database, ASKED))["model_id"] == first[0]["_id"]
    assert (await promote(settings, database, second[0]["_id"], ASKED))["model_id"] == second[0]["_id"]
    [*earlier, last] = (await activations(settings))[3]
    assert last == (second[0]["_id"], 4)
    assert [seq for _, seq in earlier] == [1, 2, 3]
    assert [row["served"] for row in await all_models(database)] == [True, False]
    decided = await decisions_about(database, None, 10)
    assert [(one["kind"], one["model_id"], one["before"], one["seq"]) for one in decided] == [
        ("promoted", second[0]["_id"], first[0]["_id"], 4),
        ("rolled back", first[0]["_id"], second[0]["_id"], 3),
        ("published", second[0]["_id"], first[0]["_id"], 2),
        ("published", first[0]["_id"], None, 1),
    ]
    assert {(one["actor"], one["because"]) for one in decided} == {("tester", "a test")}


async def test_nothing_older_and_nothing_corrupt_is_put_into_service(
    settings: Settings, database: Database
) -> None:
    with pytest.raises(InvalidInput, match="no model is in service"):
        await rollback(settings, database, ASKED)
    generation = await log_generation(settings)
    first, second = model(1, generation), model(2, generation)
    await publish(settings, database, *first, ASKED)
    with pytest.raises(InvalidInput, match="no model was published before"):
        await rollback(settings, database, ASKED)
    await publish(settings, database, *second, ASKED)
    broken = f"{first[0]['_id']}:item_factors:0"
    await database["model_chunks"].update_one({"_id": broken}, {"$set": {"data": b"\0" * 320}})
    with pytest.raises(InvalidModel, match="corrupt"):
        await rollback(settings, database, ASKED)
    pointer = await served(database)
    assert pointer is not None
    assert pointer["model_id"] == second[0]["_id"]
    with pytest.raises(InvalidInput, match="no model begins with"):
        await one_model(database, "0000000000")


async def test_a_model_of_another_log_is_neither_promoted_nor_compared_with(
    settings: Settings, database: Database
) -> None:
    """The workers of this log refuse it."""
    generation = await log_generation(settings)
    foreign, own = model(1, "another"), model(2, generation)
    await publish(settings, database, *foreign, ASKED)
    assert await read_served(database, generation) is None
    await publish(settings, database, *own, ASKED)
    for again in (rollback(settings, database, ASKED), promote(settings, database, foreign[0]["_id"], ASKED)):
        with pytest.raises(InvalidModel, match="was made from log another"):
            await again
    found = await read_served(database, generation)
    assert found is not None
    assert found.model.model_id == own[0]["_id"]


_KILLED = """
import asyncio, os, signal, sys
from connections.documents import open_documents
from connections.log_writer import LogWriter
from schemas.settings import Settings
from tests.training.test_publication import ASKED, model
from training import publication

async def main(where):
    if where == "pointer":
        async def killed(*_): os.kill(os.getpid(), signal.SIGKILL)
        publication.move_pointer = killed
    else:
        append, left = LogWriter.append, [int(where)]
        async def counted(self, *given, **named):
            if left[0] == 0: os.kill(os.getpid(), signal.SIGKILL)
            left[0] -= 1
            return await append(self, *given, **named)
        LogWriter.append = counted
    settings = Settings()
    async with open_documents(settings) as database:
        await publication.publish(settings, database, *model(2), ASKED)

asyncio.run(main(sys.argv[1]))
"""


async def publish_and_be_killed(settings: Settings, where: str) -> None:
    environment = os.environ | {
        "SEGUE_KAFKA_PORT": str(settings.kafka_port),
        "SEGUE_MONGODB_PORT": str(settings.mongodb_port),
        "SEGUE_TOPIC_PREFIX": settings.topic_prefix,
        "SEGUE_MONGODB_DATABASE": settings.mongodb_database,
    }
    command = [sys.executable, "-c", _KILLED, where]
    child = await asyncio.create_subprocess_exec(*command, cwd=ROOT, env=environment)
    assert await child.wait() == -signal.SIGKILL


async def test_killed_before_the_pointer_moves_the_old_model_stays(
    settings: Settings, database: Database
) -> None:
    document, arrays = model(1)
    await publish(settings, database, document, arrays, ASKED)
    await publish_and_be_killed(settings, "pointer")
    pointer = await served(database)
    assert pointer is not None
    assert pointer["model_id"] == document["_id"]
    await load_model(database, document["_id"])
    assert not await finish_activation(settings, database)
    assert {len(found) for found in await activations(settings)} == {1}


async def test_a_model_that_lost_its_chunks_meanwhile_is_not_put_into_service(
    settings: Settings, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its process stood still for longer than its lease: another one has cleaned up."""
    first = model(1)
    await publish(settings, database, *first, ASKED)

    async def saved_and_cleaned(*given: Any) -> None:
        await save_model(*given)
        await database[MODEL_CHUNKS.name].delete_many({"model_id": given[1]["_id"]})

    monkeypatch.setattr(publication, "save_model", saved_and_cleaned)
    with pytest.raises(InvalidModel):
        await publish(settings, database, *model(2), ASKED)
    pointer = await served(database)
    assert pointer is not None
    assert pointer["model_id"] == first[0]["_id"]


@pytest.mark.parametrize("partitions", [0, 5])
async def test_killed_while_activating_the_next_start_finishes_it(
    settings: Settings, database: Database, partitions: int
) -> None:
    await publish(settings, database, *model(1), ASKED)
    await publish_and_be_killed(settings, str(partitions))
    new = model(2)[0]["_id"]
    pointer = await served(database)
    assert pointer is not None
    assert pointer["model_id"] == new
    await load_model(database, new)
    assert await finish_activation(settings, database)
    assert [found[-1] for found in await activations(settings)] == [(new, 2)] * PLAYS_PARTITIONS
    [decided] = await decisions_about(database, new, 10)
    assert (decided["kind"], decided["seq"], decided["reason"]) == ("published", 2, "passed the gate")


async def test_two_trainings_never_publish_at_the_same_time(settings: Settings, database: Database) -> None:
    inside: list[str] = []

    async def hold(name: str) -> None:
        async with training_lease(database, lambda: inside.append(f"{name} waits")):
            inside.append(f"{name} in")
            await asyncio.sleep(0.3)
            inside.append(f"{name} out")

    first = asyncio.create_task(hold("a"))
    await asyncio.sleep(0.1)
    await asyncio.gather(first, hold("b"))
    assert inside == ["a in", "b waits", "a out", "b in", "b out"]
