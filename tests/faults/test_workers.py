"""F1, F2, F3: workers are killed, stopped, added, removed and paused amid a stream of events."""

import asyncio
import time
from collections import Counter

import pytest

from agents.verify import verify
from tests.faults.ledger import LONG, Ledger
from tests.faults.scene import SESSION_S, World, held_once, scene

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900 if LONG else 240)]


async def test_f1_a_killed_worker_loses_nothing_and_doubles_nothing(
    world: World, ledger: Ledger, fault_round: int
) -> None:
    """Each kill finds a snapshot part, commits after it, and events that are not committed."""
    worker = await world.worker("first")
    async with scene(world, ledger, "F1", "SIGKILL of the worker") as one:
        for _ in range(5 if LONG else 1):
            await one.snapshot()
            await one.some_time(1.2, 2.5)
            killed = time.time()
            worker.kill()
            worker.start()
            one.tally.kills += 1
            if one.draw.random() < 0.8:  # else it is killed again while it begins
                await one.note_recovery(killed)
    assert worker.runs()


async def test_f2_a_stopped_worker_ends_cleanly_and_the_next_goes_on(
    world: World, ledger: Ledger, fault_round: int
) -> None:
    worker = await world.worker("first")
    async with scene(world, ledger, "F2", "SIGTERM of the worker") as one:
        ends = []
        for _ in range(3 if LONG else 1):
            await one.some_time()
            told = time.time()
            assert await asyncio.to_thread(worker.stop) == 0
            ends.append(time.time() - told)
            worker.start()
            one.tally.kills += 1
            await one.note_recovery(told)
        one.tally.notes["end [s]"] = " ".join(f"{seconds:.1f}" for seconds in ends)


async def test_a_worker_paused_beyond_its_session_spoils_nothing(
    world: World, ledger: Ledger, fault_round: int
) -> None:
    """A snapshot that is asked for meanwhile waits until another worker has folded the paused one's share."""
    _, paused = await world.worker("first"), await world.worker("second")
    async with scene(world, ledger, "pause", "SIGSTOP of one of two beyond its session") as one:
        await held_once(world, ["first", "second"])
        await one.some_time()
        stopped = time.time()
        paused.pause()
        await one.snapshot()
        await asyncio.sleep(max(0.0, stopped + (2.0 if LONG else 1.4) * SESSION_S - time.time()))
        await one.note_recovery(stopped)
        paused.go_on()
        one.tally.kills += 1
        await held_once(world, ["first", "second"])
    assert (await verify(world.settings, None))["equal"]


async def test_f3_up_to_four_workers_share_the_partitions_while_they_come_and_go(
    world: World, ledger: Ledger, fault_round: int
) -> None:
    """Partitions go from the first two to the others, back when those are gone, and away once more."""
    both = ["first", "second"]
    everyone = [*both, "third", "fourth"]
    for name in both:
        await world.worker(name)
    async with scene(world, ledger, "F3", "workers killed, stopped, added, removed", per_s=150.0) as one:
        await asyncio.gather(world.worker("third"), world.worker("fourth"))
        owners = await held_once(world, everyone)
        shares = Counter(name for [name] in owners.values())
        assert max(shares.values()) - min(shares.values()) <= 1, shares
        gone = time.time()
        world.workers["fourth"].kill()
        assert await asyncio.to_thread(world.workers["third"].stop) == 0
        await held_once(world, both)
        await one.note_recovery(gone)
        await world.worker("third")
        await held_once(world, [*both, "third"])
        one.tally.kills += 2
