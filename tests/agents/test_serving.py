"""Models in a worker on real Kafka and a real mongod: how many, and what goes on while one comes."""

import asyncio
import gc
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

import agents.serving
from agents.app import Worker
from agents.opening import open_worker
from agents.serving import Serving
from connections.documents import Database, open_documents
from connections.event_log import LogReader
from connections.log_writer import LogWriter
from connections.model_store import load_model, save_model
from recommender.catalogue import Catalogue, Charts
from recommender.model import Model
from schemas import events
from schemas.documents import CATALOGUE
from schemas.errors import DocumentsUnavailable
from schemas.recommendations import decode_recommendations
from schemas.settings import Settings
from schemas.topics import PLAYS, RECOMMENDATIONS
from tests.builders import play, user_id
from tests.worlds import TRACKS_MADE, begin_world, made_model, newest_lists, records_of

pytestmark = pytest.mark.slow
USERS = range(1, 41)


class Stage:
    """A worker in this process, models that are published, users who play."""

    def __init__(
        self, worker: Worker, work: asyncio.Task[None], database: Database, writer: LogWriter
    ) -> None:
        self.worker, self.work, self.database, self.writer = worker, work, database, writer
        self.published: list[str] = []
        self.seq = 0

    async def activate(self) -> str:
        """Publish another model and put it into service."""
        number = len(self.published) + 1
        document, arrays = made_model(number, number, self.worker.generation)
        await save_model(self.database, document, arrays)
        self.published.append(document["_id"])
        await self.writer.append_control(
            events.Activate(model_id=document["_id"], seq=number, server_time_ms=number)
        )
        return str(document["_id"])

    async def plays(self, rounds: int) -> None:
        """Let every user play."""
        for _ in range(rounds):
            self.seq += 1
            now_ms = time.time_ns() // 1_000_000
            given = {"session": "s", "seq": self.seq, "server_time_ms": now_ms}
            made = [(user, play((user + self.seq) % TRACKS_MADE + 1, **given)) for user in USERS]
            await self.writer.append(
                PLAYS, [(user_id(user).encode(), events.encode(one)) for user, one in made]
            )

    async def answered(self, model_id: str | None) -> None:
        """Wait until all is folded and each user's newest list answers the last event, by that model."""
        async with LogReader(self.worker.settings) as reader:
            ends = await reader.end_offsets()
        async with asyncio.timeout(60):
            while {p: state.position for p, state in self.worker.partitions.states.items()} != ends:
                await self.looked_again(0.05)
            while True:
                lists = await newest_lists(self.worker.settings)
                found = {one.model_id for one in lists.values()}
                last = {one.cause.seq for one in lists.values() if one.cause is not None}
                if len(lists) == len(USERS) and found == {model_id} and last <= {self.seq}:
                    return
                await self.looked_again(0.1)

    async def looked_again(self, after_s: float) -> None:
        """Wait a moment; raise what has ended the worker."""
        await asyncio.wait({self.work}, timeout=after_s)
        if self.work.done():
            self.work.result()

    def models_alive(self) -> int:
        """Return how many of the published models are in memory, whoever holds them."""
        return sum(isinstance(one, Model) and one.model_id in self.published for one in gc.get_objects())


@pytest.fixture
async def stage(settings: Settings) -> AsyncIterator[Stage]:
    async with open_documents(settings) as database:
        await begin_world(settings, database)
        async with LogWriter(settings) as writer, open_worker(settings) as worker:
            work = asyncio.create_task(worker.run())
            try:
                yield Stage(worker, work, database, writer)
            finally:
                work.cancel()
                await asyncio.gather(work, return_exceptions=True)
                gc.unfreeze()
                await database.client.drop_database(settings.mongodb_database)


async def test_two_models_are_in_memory_at_most_through_many_activations_amid_events(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also while one is loaded and lists are ranked; caches by model and catalogue keep none alive."""
    counts: list[int] = []

    async def counted(database: Database, model_id: str, **given: Any) -> Model:
        counts.append(stage.models_alive() + 1)  # with the one that comes
        model = await load_model(database, model_id, **given)
        counts.append(stage.models_alive())
        return model

    monkeypatch.setattr(agents.serving, "load_model", counted)
    for number in range(4):
        if number == 3:  # another catalogue beside them
            await stage.database[CATALOGUE.name].update_one({"_id": "catalogue"}, {"$set": {"version": "v2"}})
            await stage.worker.serving.refresh()
        playing = asyncio.create_task(stage.plays(4))
        model_id = await stage.activate()
        await playing
        await stage.answered(model_id)
        counts.append(stage.models_alive())
        assert stage.worker.serving.models_alive == stage.models_alive()
    assert len(counts) == 3 * 4, "each model was loaded once"
    assert max(counts) == 2, counts


@pytest.mark.parametrize("first", [True, False])
async def test_events_are_answered_while_a_model_comes_and_it_brings_lists_of_its_own(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, first: bool
) -> None:
    """The loading ends when all was answered: by charts before the first model, else by the one before."""
    before = None if first else await stage.activate()
    await stage.plays(1)
    await stage.answered(before)
    begun, may_end = asyncio.Event(), asyncio.Event()

    async def slow(database: Database, model_id: str, **given: Any) -> Model:
        begun.set()
        await may_end.wait()
        return await load_model(database, model_id, **given)

    monkeypatch.setattr(agents.serving, "load_model", slow)
    folded = _folded(stage.worker)
    coming = await stage.activate()
    await stage.plays(10)
    await stage.answered(before)

    assert begun.is_set()
    assert not may_end.is_set()
    assert _folded(stage.worker) - folded == 10 * len(USERS) + PLAYS.partitions
    may_end.set()
    await stage.answered(coming)
    assert stage.models_alive() == (1 if first else 2)


async def test_the_first_lists_of_a_partition_wait_for_a_model_however_long_it_comes(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that begins again amid an activation does not answer by charts for a moment."""
    may_end = asyncio.Event()

    async def slow(database: Database, model_id: str, **given: Any) -> Model:
        await may_end.wait()
        return await load_model(database, model_id, **given)

    monkeypatch.setattr(agents.serving, "load_model", slow)
    coming = await stage.activate()
    await stage.plays(1)
    await stage.looked_again(2.0)  # far more than a list needs
    assert await records_of(stage.worker.settings, RECOMMENDATIONS) == []

    may_end.set()
    await stage.answered(coming)
    records = await records_of(stage.worker.settings, RECOMMENDATIONS)
    assert {decode_recommendations(value or b"").model_id for _, value in records} == {coming}


def _folded(worker: Worker) -> int:
    return sum(state.position for state in worker.partitions.states.values())


async def test_no_list_is_made_before_the_catalogue_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would be empty, and take the place of a good one. MongoDB is waited for."""
    answers = asyncio.Event()

    async def version(_: Database) -> str | None:
        if not answers.is_set():
            raise DocumentsUnavailable("away")
        return None

    async def charts(_: Database, known: Charts) -> Charts:
        return known

    class Surrounded:
        async def surround(self, catalogue: Catalogue, charts: Charts) -> None:
            pass

    monkeypatch.setattr(agents.serving, "catalogue_version", version)
    monkeypatch.setattr(agents.serving, "newest_charts", charts)
    monkeypatch.setattr(agents.serving, "_POLL_S", 0.01)
    serving = Serving(None, Surrounded(), lambda _: None)  # type: ignore[arg-type]
    running = asyncio.create_task(serving.run())
    await asyncio.sleep(0.05)

    assert not serving.looked.is_set()
    assert (serving.waiting_for, serving.known_catalogue()) == ("MongoDB", None)
    answers.set()
    async with asyncio.timeout(5):
        await serving.looked.wait()
    assert serving.waiting_for is None
    assert serving.known_catalogue() is serving.catalogue
    answers.clear()
    await asyncio.sleep(0.05)
    assert serving.waiting_for is None, "lists go on with what is known"
    running.cancel()
