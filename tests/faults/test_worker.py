"""Real processes are killed and paused amid a stream, then the log is counted: lost 0, double 0."""

import asyncio
import os
import random
from collections.abc import AsyncIterator
from typing import Any

import pytest

from connections.documents import Database, open_documents
from connections.event_log import LogWriter
from schemas.settings import Settings
from tests.programs import worker_process
from tests.worlds import begin_world, send, settled, stream, worked_off

ROUNDS = int(os.environ.get("SEGUE_FAULT_ROUNDS", "1"))
"""1 in ``make test``; ``make faults`` sets more."""
_USERS = 200
_PER_S = 300.0


@pytest.fixture
async def world(settings: Settings) -> AsyncIterator[tuple[Settings, Database]]:
    quick = settings.model_copy(update={"session_timeout_s": 6.0, "snapshot_events": 400})
    async with open_documents(quick) as database:
        await begin_world(quick, database)
        yield quick, database
        await database.client.drop_database(quick.mongodb_database)


def _check(result: dict[str, Any], sent: int, title: str) -> None:
    print(
        f"{title}: acknowledged {sent}, applied {result['applied']}, duplicates {result['duplicates']}, "
        f"late {result['late']}, dead {result['dead']}, lost {result['lost']}, double {result['double']}, "
        f"lists behind {result['lists_behind']}, pending {result['pending']}"
    )
    assert result["applied"] == sent
    assert (result["lost"], result["double"], result["pending"], result["lists_behind"]) == (0, 0, 0, 0)
    assert (result["duplicates"], result["late"], result["dead"]) == (0, 0, 0)


async def _archived(database: Database, sent: int) -> None:
    for _ in range(100):
        if await database["archive"].count_documents({}) == sent:
            return
        await asyncio.sleep(0.1)
    assert await database["archive"].count_documents({}) == sent


@pytest.mark.slow
@pytest.mark.timeout(90 + 60 * ROUNDS)
async def test_a_killed_worker_loses_nothing_and_doubles_nothing(world: tuple[Settings, Database]) -> None:
    settings, database = world
    draw, sent = random.Random(7), 0
    plays = stream(7, _USERS, session="kill")
    with worker_process(settings) as worker:
        worker.start()
        await worker.until_alive()
        async with LogWriter(settings) as writer:
            for _ in range(ROUNDS):
                sending = asyncio.create_task(send(writer, plays, 1_200, _PER_S))
                for _ in range(2):
                    await asyncio.sleep(0.8 + draw.random() * 0.8)
                    worker.kill()
                    worker.start()
                sent += await sending

        result = await settled(settings, [worker.port], worked_off)

    _check(result, sent, f"SIGKILL of the worker, {2 * ROUNDS} times")
    await _archived(database, sent)


@pytest.mark.slow
@pytest.mark.timeout(120 + 90 * ROUNDS)
async def test_a_worker_paused_for_twice_its_session_spoils_nothing(world: tuple[Settings, Database]) -> None:
    settings, database = world
    sent = 0
    plays = stream(8, _USERS, session="pause")
    with worker_process(settings, "first") as first, worker_process(settings, "second") as second:
        for worker in (first, second):
            worker.start()
            await worker.until_alive()
        async with LogWriter(settings) as writer:
            for _ in range(ROUNDS):
                sending = asyncio.create_task(send(writer, plays, 5_400, _PER_S))
                await asyncio.sleep(1.5)
                first.pause()
                await asyncio.sleep(2 * settings.session_timeout_s)
                first.go_on()
                sent += await sending

        result = await settled(settings, [first.port, second.port], worked_off, timeout_s=90)

    _check(result, sent, f"SIGSTOP of one worker of two for twice its session, {ROUNDS} times")
    await _archived(database, sent)
