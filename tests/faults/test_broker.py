"""F6, F7, F8: the broker is killed and stalled; and a worker is killed while MongoDB does not acknowledge."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest

from tests.faults.ledger import LONG, Ledger
from tests.faults.own_parts import OwnParts, own_parts
from tests.faults.scene import Scene, World, scene, world_in
from tests.programs import WorkerProcess

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1_200 if LONG else 240)]
_INTAKE_S = 4.0 if LONG else 1.0


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnParts]:
    with own_parts(tmp_path_factory.mktemp("parts")) as both:
        yield both


@pytest.fixture(scope="module")
def world(parts: OwnParts, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world_in(tmp_path_factory.mktemp("world"), intake_timeout_s=_INTAKE_S, **parts.ports) as one:
        yield one


@asynccontextmanager
async def supervised(worker: WorkerProcess, one: Scene) -> AsyncIterator[None]:
    """Start the worker again whenever it ends, as ``segue up`` does."""

    async def watch() -> None:
        while True:
            if not worker.runs():
                one.tally.notes["ended"] = one.tally.notes.get("ended", 0) + 1
                worker.start()
            await asyncio.sleep(0.3)

    watching = asyncio.create_task(watch())
    try:
        yield
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)


def _note_refusals(one: Scene) -> None:
    """An event that the log does not acknowledge is refused about when its time is over; nobody hangs."""
    refusals = one.load.acknowledged.refusals_s
    one.tally.notes["refused"] = len(refusals)
    one.tally.notes["latest refusal [s]"] = round(max(refusals, default=0.0), 1)
    assert max(refusals, default=0.0) < _INTAKE_S + 10.0


async def test_f6_a_killed_broker_comes_back_with_all_that_it_acknowledged(
    parts: OwnParts, world: World, ledger: Ledger, fault_round: int
) -> None:
    worker = await world.worker("first")
    async with scene(world, ledger, "F6", "SIGKILL of the broker") as one, supervised(worker, one):
        for _ in range(3 if LONG else 1):
            await one.some_time()
            killed = time.time()
            parts.kill_kafka()
            await parts.start_kafka()
            one.tally.kills += 1
            await one.note_recovery(killed)
        _note_refusals(one)


@pytest.mark.parametrize("stall_s", [2.0, 10.0, 25.0, 90.0] if LONG else [2.0])
async def test_f7_a_stalled_broker_is_waited_for_and_events_are_refused_meanwhile(
    parts: OwnParts, world: World, ledger: Ledger, fault_round: int, stall_s: float
) -> None:
    worker = await world.worker("first")
    what = f"SIGSTOP of the broker, {stall_s:g} s"
    async with scene(world, ledger, f"F7/{stall_s:g}", what) as one, supervised(worker, one):
        await one.some_time()
        parts.pause(parts.kafka)
        await asyncio.sleep(stall_s)
        parts.go_on(parts.kafka)
        one.tally.kills += 1
        await one.note_recovery(time.time())
        _note_refusals(one)
        assert one.load.acknowledged.refusals_s or stall_s <= _INTAKE_S


async def test_f8_a_worker_killed_while_the_broker_stalls_loses_nothing(
    parts: OwnParts, world: World, ledger: Ledger, fault_round: int
) -> None:
    worker = await world.worker("first")
    what = "broker stalled, then SIGKILL of the worker"
    async with scene(world, ledger, "F8", what) as one, supervised(worker, one):
        for _ in range(5 if LONG else 1):
            await one.some_time()
            parts.pause(parts.kafka)
            await one.some_time(0.0, 0.5)
            worker.kill()
            worker.start()
            await one.some_time(0.5, 3.0 if LONG else 1.0)
            parts.go_on(parts.kafka)
            one.tally.kills += 1
            await one.note_recovery(time.time())


async def test_a_worker_killed_while_mongodb_does_not_acknowledge_archives_all(
    parts: OwnParts, world: World, ledger: Ledger, fault_round: int
) -> None:
    """Longer than the time between two commits: what was committed too early would be missing."""
    worker = await world.worker("first")
    what = "MongoDB stalled, then SIGKILL of the worker"
    async with scene(world, ledger, "ack", what) as one, supervised(worker, one):
        for _ in range(3 if LONG else 1):
            await one.some_time()
            parts.pause(parts.mongod)
            await asyncio.sleep(2.5)
            worker.kill()
            killed = time.time()
            parts.go_on(parts.mongod)
            worker.start()
            one.tally.kills += 1
            await one.note_recovery(killed)
