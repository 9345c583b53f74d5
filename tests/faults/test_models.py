"""F21: models that must never serve. Each is refused with its reason; lists go on naming the one before."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np
import pytest

from connections.documents import Database, open_documents
from connections.event_log import LogReader
from connections.log_writer import LogWriter
from connections.model_store import move_pointer, refuse_model, save_model, served
from schemas import events
from schemas.documents import MODEL_CHUNKS, MODELS
from tests.builders import play, user_id
from tests.faults.ledger import Ledger, Tally
from tests.faults.load import Acknowledged
from tests.faults.scene import World, count, held_once
from tests.worlds import TRACKS_MADE, made_model, newest_lists

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]
Arrays = dict[str, Any]
Document = dict[str, Any]


def _not_finite(arrays: Arrays) -> None:
    arrays["item_factors"][7, 2] = np.nan


def _beyond_solving(arrays: Arrays) -> None:
    arrays["item_factors"][:] = 3e38


def _empty(arrays: Arrays) -> None:
    for name in arrays:
        arrays[name] = arrays[name][:0]


def _no_ids_in_order(arrays: Arrays) -> None:
    arrays["track_ids"][:] = arrays["track_ids"][::-1].copy()


async def _flipped_bit(database: Database, document: Document) -> None:
    key = {"_id": f"{document['_id']}:item_factors:0"}
    chunk = await database[MODEL_CHUNKS.name].find_one(key)
    assert chunk is not None
    data = bytearray(chunk["data"])
    data[100] ^= 1
    await database[MODEL_CHUNKS.name].update_one(key, {"$set": {"data": bytes(data)}})


async def _missing_chunk(database: Database, document: Document) -> None:
    await database[MODEL_CHUNKS.name].delete_one({"_id": f"{document['_id']}:popularity:0"})


async def _missing_document(database: Database, document: Document) -> None:
    await database[MODELS.name].delete_one({"_id": document["_id"]})


async def _other_parameters(database: Database, document: Document) -> None:
    """The whole is sound, chunk by chunk, and is not what its name says."""
    await database[MODELS.name].update_one({"_id": document["_id"]}, {"$set": {"alpha": 11.0}})


async def _refused_by_the_gate(database: Database, document: Document) -> None:
    await database[MODELS.name].delete_one({"_id": document["_id"]})
    await refuse_model(database, document, "every judged user gets the same list")


_BY_ARRAYS: dict[str, Callable[[Arrays], None]] = {
    "not a number": _not_finite,
    "equations beyond solving": _beyond_solving,
    "empty": _empty,
    "ids out of order": _no_ids_in_order,
}
_BY_DOCUMENTS: dict[str, Callable[[Database, Document], Awaitable[None]]] = {
    "flipped bit": _flipped_bit,
    "missing chunk": _missing_chunk,
    "missing document": _missing_document,
    "other parameters": _other_parameters,
    "refused by the gate": _refused_by_the_gate,
}


class _Stage:
    """The world of the row: one worker, users who play, models that are activated."""

    def __init__(self, world: World, database: Database, writer: LogWriter, generation: str) -> None:
        self.world, self.database, self.writer, self.generation = world, database, writer, generation
        self.users = list(world.fresh_users(20))
        self.acknowledged = Acknowledged()
        self.seq = 0

    async def publish(self, number: int, change: Callable[[Arrays], None] | None = None) -> Document:
        """Store a model as training does, with what ``change`` makes of it."""
        document, arrays = made_model(number, number, self.generation, change)
        await save_model(self.database, document, arrays)
        return dict(document)

    async def activate(self, model_id: str, seq: int) -> None:
        """Write the record that puts a model into service into every partition."""
        record = events.Activate(model_id=model_id, seq=seq, server_time_ms=time.time_ns() // 1_000_000)
        await self.writer.append_control(record)

    async def models_of_answers(self, hung_after_s: float = 60.0) -> set[str | None]:
        """Let every user play; return the models that the answers name."""
        self.seq += 1
        offsets = {}
        for number in self.users:
            event = play(self.seq % TRACKS_MADE + 1, session="models", seq=self.seq)
            offsets[user_id(number)] = await self.writer.append_event(user_id(number), event)
            self.acknowledged.note(user_id(number), event)
        until = time.monotonic() + hung_after_s
        while time.monotonic() < until:
            lists = await newest_lists(self.world.settings)
            answers = [
                lists[user] for user, at in offsets.items() if user in lists and lists[user].offset >= at
            ]
            if len(answers) == len(offsets):
                return {one.model_id for one in answers}
            await asyncio.sleep(0.05)
        raise AssertionError("not every play was answered")

    async def reasons(self, model_id: str, hung_after_s: float = 60.0) -> list[str]:
        """Return why the worker refused a model, from its log; the one before may have served meanwhile."""
        until = time.monotonic() + hung_after_s
        while True:
            lines = self.world.workers["first"].log.read_text().splitlines()
            refused = [json.loads(line) for line in lines if "model refused" in line and model_id in line]
            if refused or time.monotonic() > until:
                return [line["error"] for line in refused]
            await asyncio.sleep(0.1)


async def test_f21_poisoned_models_are_refused_with_a_reason_and_the_one_before_serves(
    world: World, ledger: Ledger
) -> None:
    worker = await world.worker("first")
    await held_once(world, ["first"])
    async with LogReader(world.settings) as reader:
        generation = await reader.generation()
    async with open_documents(world.settings) as database, LogWriter(world.settings) as writer:
        stage = _Stage(world, database, writer, generation)
        good = (await stage.publish(1))["_id"]
        assert await move_pointer(database, good, 1)
        await stage.activate(good, 1)
        assert await stage.models_of_answers() == {good}

        reasons: dict[str, list[str]] = {}
        for number, (name, change) in enumerate(_BY_ARRAYS.items(), 2):
            poisoned = await stage.publish(number, change)
            await stage.activate(poisoned["_id"], number)
            assert await stage.models_of_answers() == {good}, name
            reasons[name] = await stage.reasons(poisoned["_id"])
        for number, (name, spoil) in enumerate(_BY_DOCUMENTS.items(), 10):
            poisoned = await stage.publish(number)
            await spoil(database, poisoned)
            await stage.activate(poisoned["_id"], number)
            assert await stage.models_of_answers() == {good}, name
            reasons[name] = await stage.reasons(poisoned["_id"])
        foreign, arrays = made_model(20, 20, "another log")
        await save_model(database, foreign, arrays)
        await stage.activate(foreign["_id"], 20)
        assert await stage.models_of_answers() == {good}
        reasons["of another log"] = await stage.reasons(foreign["_id"])

        older = (await stage.publish(19))["_id"]
        await stage.activate(older, 19)
        assert await stage.models_of_answers() == {good}, "an older sequence"
        assert not await move_pointer(database, older, 1)
        assert (await served(database) or {}).get("model_id") == good

        worker.kill()
        worker.start()
        assert await stage.models_of_answers() == {good}, "started again, with a poisoned model active"

        newer = (await stage.publish(21))["_id"]
        await stage.activate(newer, 21)
        while (named := await stage.models_of_answers()) != {newer}:
            assert named <= {good, newer}, "the one before serves until this one is held"

    tally = Tally("F21", "poisoned models", ledger.next_seed("F21"), kills=1)
    tally.sent = tally.acknowledged = len(stage.acknowledged.accepted)
    await count(world, tally, stage.acknowledged)
    tally.notes["refused"] = len(reasons)
    ledger.note(tally)
    assert (tally.applied, tally.lost, tally.double) == (tally.acknowledged, 0, 0)
    assert {name for name, some in reasons.items() if len(some) != 1} == set(), reasons
