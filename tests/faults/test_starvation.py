"""F20: a worker that gets no time for shorter than its session loses nothing, not even its partitions."""

import asyncio
import sys
import time
from collections.abc import Iterator

import pytest

from tests.conftest import Embedded
from tests.faults.ledger import LONG, Ledger
from tests.faults.scene import World, held_once, scene, world_in

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600 if LONG else 240)]
_BOTH = ["first", "second"]


@pytest.fixture(scope="module")
def world(embedded: Embedded, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Yield a world whose workers have the session that Segue has by default."""
    ports = {"kafka_port": embedded.kafka_port, "mongodb_port": embedded.mongodb_port}
    with world_in(tmp_path_factory.mktemp("world"), session_timeout_s=10.0, **ports) as one:
        yield one


async def _two_workers(world: World) -> int:
    for name in _BOTH:
        await world.worker(name)
    await held_once(world, _BOTH)
    return world.log_of("partitions were assigned")


async def test_f20_a_worker_that_stands_still_for_five_seconds_keeps_its_partitions(
    world: World, ledger: Ledger, fault_round: int
) -> None:
    assigned = await _two_workers(world)
    async with scene(world, ledger, "F20", "a worker of two stands still for 5 s", per_s=150.0) as one:
        for _ in range(3 if LONG else 1):
            await one.some_time()
            world.workers["first"].pause()
            await asyncio.sleep(5.0)
            world.workers["first"].go_on()
            one.tally.kills += 1
            await one.note_recovery(time.time())
        one.tally.notes["assignments"] = world.log_of("partitions were assigned") - assigned
    assert one.tally.notes["assignments"] <= 2, "more than one rebalance of two workers"


@pytest.mark.skipif(not LONG, reason="takes all of the machine for a minute")
async def test_f20_workers_without_cpu_time_for_a_minute_lose_nothing(
    world: World, ledger: Ledger, fault_round: int
) -> None:
    assigned = await _two_workers(world)
    async with scene(world, ledger, "F20/cpu", "four busy programs for 60 s", per_s=100.0) as one:
        busy = (sys.executable, "-c", "while True: pass")
        hogs = [await asyncio.create_subprocess_exec(*busy) for _ in range(4)]
        try:
            await asyncio.sleep(60.0)
        finally:
            for hog in hogs:
                hog.kill()
                await hog.wait()
        one.tally.kills += 1
        await one.note_recovery(time.time())
        one.tally.notes["assignments"] = world.log_of("partitions were assigned") - assigned
    assert one.tally.notes["assignments"] <= 2, "more than one rebalance of two workers"
