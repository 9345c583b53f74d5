"""Lists with their rails: at once while there is time, and made whole afterwards when there was none."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

import numpy as np
import psutil
import pytest

from connections.documents import Database, open_documents
from connections.log_writer import LogWriter
from connections.model_store import save_model
from recommender.model import canonical_arrays, model_digest
from schemas import events
from schemas.recommendations import Recommendations, decode_recommendations
from schemas.settings import Settings
from schemas.topics import RECOMMENDATIONS
from tests.builders import NOW_MS, like, play, user_id
from tests.programs import WorkerProcess, worker_process
from tests.worlds import TRACKS_MADE, begin_world, records_of, settled, worked_off

MODELLED = range(1, TRACKS_MADE + 1)


@pytest.fixture
async def worker(settings: Settings) -> AsyncIterator[WorkerProcess]:
    """Run a worker on a world with a model that is active in every partition."""
    async with open_documents(settings) as database:
        generation = await begin_world(settings, database)
        model_id = await publish(database, generation)
        now_ms = time.time_ns() // 1_000_000
        async with LogWriter(settings) as writer:
            await writer.append_control(events.Activate(model_id=model_id, seq=1, server_time_ms=now_ms))
        with worker_process(settings) as one:
            one.start()
            await one.until_alive()
            await settled(one.settings, [one.port], worked_off)  # the model is active
            while (await one.metrics())["segue_models_alive"] < 1:  # and held
                await asyncio.sleep(0.05)
            yield one
        await database.client.drop_database(settings.mongodb_database)


async def publish(database: Database, generation: str) -> str:
    factors = np.random.default_rng(3).standard_normal((len(MODELLED), 4)) / 2
    ones = np.ones(len(MODELLED))
    arrays = canonical_arrays(np.array(MODELLED), factors, ones > 0, ones)
    document = {
        "seq": 1, "training_id": "t", "snapshot_id": "s", "generation": generation, "rank": 4,
        "reg_param": 0.1, "alpha": 10.0, "max_iter": 5, "metrics": {}, "created_ms": 1,
    }  # fmt: skip
    document["_id"] = model_digest(arrays, document)
    await save_model(database, document, arrays)
    return str(document["_id"])


async def lists_sent_to(settings: Settings, user: int) -> list[Recommendations]:
    records = await records_of(settings, RECOMMENDATIONS)
    return [decode_recommendations(value or b"") for key, value in records if key == user_id(user).encode()]


async def lists_of(settings: Settings, user: int, seq: int, whole: bool) -> list[Recommendations]:
    """Return the lists sent for an event of a user, once one is there that is whole (or brief)."""
    found: list[Recommendations] = []
    for _ in range(200):
        lists = await lists_sent_to(settings, user)
        found = [one for one in lists if one.cause is not None and one.cause.seq == seq]
        if any(one.brief != whole for one in found):
            return found
        await asyncio.sleep(0.1)
    raise AssertionError(f"no such list in time: {found}")


async def test_an_event_is_answered_by_a_list_with_its_rails(worker: WorkerProcess) -> None:
    async with LogWriter(worker.settings) as writer:
        for seq, track_id in enumerate((7, 9), start=1):
            # histories know seconds: the first play is told to be older, so that the second is the strongest
            now_ms = time.time_ns() // 1_000_000 - (5_000 if seq == 1 else 0)
            await writer.append_event(user_id(1), play(track_id, seq=seq, server_time_ms=now_ms))
            whole = [one for one in await lists_of(worker.settings, 1, seq, whole=True) if not one.brief]

    found = whole[-1]
    assert [rail.kind for rail in found.rails] == ["because", "discovery"]
    assert found.rails[0].track_id == 9
    on_page = [item.track_id for items in (found.items, *(r.items for r in found.rails)) for item in items]
    assert len(set(on_page)) == len(on_page) > len(found.items)
    assert all(item.propensity is not None for item in found.rails[1].items)


async def test_a_list_that_comes_late_is_brief_and_made_whole_when_there_is_time(
    worker: WorkerProcess,
) -> None:
    async with LogWriter(worker.settings) as writer:
        offset = await writer.append_event(user_id(2), like(7, seq=1, server_time_ms=NOW_MS))

    found = await lists_of(worker.settings, 2, 1, whole=True)

    assert [one.brief for one in found] == [True, False]
    brief, whole = found
    assert brief.rails == []
    assert [rail.kind for rail in whole.rails] == ["discovery"]
    assert brief.offset == whole.offset == offset
    assert brief.cause == whole.cause
    if brief.model_id == whole.model_id:
        assert brief.items == whole.items


async def test_plays_that_come_while_a_list_waits_are_answered_by_one_list(worker: WorkerProcess) -> None:
    with suspended(*worker.ranking()):
        async with LogWriter(worker.settings) as writer:
            offsets = []
            for seq in range(1, 7):
                now_ms = time.time_ns() // 1_000_000
                offsets.append(
                    await writer.append_event(user_id(3), play(seq, seq=seq, server_time_ms=now_ms))
                )
                await folded(worker, offsets[-1])

    await lists_of(worker.settings, 3, 6, whole=True)
    found = await lists_sent_to(worker.settings, 3)
    # one for each ranking process was on its way already
    middle = offsets[len(worker.ranking()) : -1]
    assert middle
    assert not {one.offset for one in found} & set(middle)
    assert [one.offset for one in found] == sorted(one.offset for one in found)
    assert found[-1].offset == offsets[-1]
    settled_audit = await settled(worker.settings, [worker.port], worked_off)
    assert (settled_audit["applied"], settled_audit["lists_behind"]) == (6, 0)


async def test_a_list_that_is_ranked_sooner_than_the_one_before_is_not_sent_sooner(
    worker: WorkerProcess,
) -> None:
    async with LogWriter(worker.settings) as writer:
        with suspended(worker.ranking()[0]):
            first = await writer.append_event(user_id(4), play(1, seq=1, server_time_ms=NOW_MS))
            await folded(worker, first)
            second = await writer.append_event(user_id(4), play(2, seq=2, server_time_ms=NOW_MS))
            await folded(worker, second)
            await asyncio.sleep(1.0)  # far more than the other process needs
            assert await lists_sent_to(worker.settings, 4) == []

    await lists_of(worker.settings, 4, 2, whole=False)
    found = await lists_sent_to(worker.settings, 4)
    assert [one.offset for one in found if one.brief] in ([first, second], [second])


@contextmanager
def suspended(*processes: psutil.Process) -> Iterator[None]:
    """Let processes rest."""
    for one in processes:
        one.suspend()
    try:
        yield
    finally:
        for one in processes:
            one.resume()


async def folded(worker: WorkerProcess, offset: int) -> None:
    """Return when the worker has folded its record at an offset, in whatever partition that is."""
    for _ in range(200):
        metrics = await worker.metrics()
        if any(v > offset for name, v in metrics.items() if name.startswith("segue_position{")):
            return
        await asyncio.sleep(0.02)
    raise AssertionError(f"offset {offset} was not folded")
