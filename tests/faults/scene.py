"""A world in which faults are played: a log, real workers, events in the background, the count at the end."""

import asyncio
import random
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from connections.documents import Database, open_documents
from connections.event_log import LogReader
from schemas.settings import Settings
from tests.faults.arrivals import Arrivals
from tests.faults.ledger import Ledger, Tally
from tests.faults.load import Acknowledged, Load
from tests.faults.oracle import (
    differences,
    expected_listens,
    held_histories,
    listens_of,
    snapshot_folder,
    users_behind,
)
from tests.programs import WorkerProcess, worker_process
from tests.worlds import begin_world, settled, worked_off

_CLASSES = ("applied", "duplicates", "late", "dead", "lost", "double")
SESSION_S = 6.0
"""Session of the workers' group: what is silent for longer loses its partitions."""


@dataclass
class World:
    """One log with its workers. Rows that share it are counted by what they add."""

    settings: Settings
    stack: ExitStack
    workers: dict[str, WorkerProcess] = field(default_factory=dict)
    counted: dict[str, int] = field(default_factory=lambda: dict.fromkeys(_CLASSES, 0))
    users: int = 0

    async def worker(self, name: str) -> WorkerProcess:
        """Return a running worker; it is made, or started, if need be."""
        if name not in self.workers:
            self.workers[name] = self.stack.enter_context(worker_process(self.settings, name))
        one = self.workers[name]
        if not one.runs():
            one.start()
            await one.until_alive()
        return one

    def ports(self) -> list[int]:
        """Return the ports of the workers that run."""
        return [one.port for one in self.workers.values() if one.runs()]

    def fresh_users(self, count: int) -> range:
        """Return numbers of users that no row had before."""
        self.users += count
        return range(self.users - count + 1, self.users + 1)

    async def positions(self) -> dict[int, int]:
        """Return the furthest position of each partition that some worker holds."""
        found: dict[int, int] = {}
        for name in [name for name, one in self.workers.items() if one.runs()]:
            try:
                metrics = await self.workers[name].metrics()
            except aiohttp.ClientError:
                continue  # it is only just starting
            for where, value in metrics.items():
                if where.startswith("segue_position{"):
                    partition = int(where.split('"')[1])
                    found[partition] = max(found.get(partition, 0), int(value))
        return found

    async def owners(self) -> dict[int, list[str]]:
        """Return the names of the workers that hold each partition."""
        found: dict[int, list[str]] = {}
        async with aiohttp.ClientSession() as session:
            for name, one in self.workers.items():
                if one.runs():
                    async with session.get(f"http://127.0.0.1:{one.port}/state") as response:
                        for state in (await response.json())["partitions"]:
                            found.setdefault(state["partition"], []).append(name)
        return found

    def log_of(self, word: str) -> int:
        """Return how many lines of all workers' logs hold ``word``."""
        logs = [one.log.read_text() for one in self.workers.values() if one.log.exists()]
        return sum(word in line for log in logs for line in log.splitlines())


@contextmanager
def world_in(folder: Path, **changes: Any) -> Iterator[World]:
    """Yield a fresh world: topics, catalogue, database. Its workers are ended afterwards."""
    name = uuid.uuid4().hex[:12]
    given = {"session_timeout_s": SESSION_S, "snapshot_events": 400, "charts_interval_s": 600.0}
    settings = Settings(
        data_dir=folder, topic_prefix=f"{name}-", mongodb_database=f"test-{name}", **(given | changes)
    )
    asyncio.run(_begin(settings))
    try:
        with ExitStack() as stack:
            yield World(settings, stack)
    finally:
        asyncio.run(_end(settings))


async def _begin(settings: Settings) -> None:
    async with open_documents(settings) as database:
        await begin_world(settings, database)


async def _end(settings: Settings) -> None:
    async with open_documents(settings) as database:
        await database.client.drop_database(settings.mongodb_database)


@dataclass
class Scene:
    """One round of a row: what goes on in the background, and what is counted."""

    settings: Settings
    tally: Tally
    draw: random.Random
    load: Load
    arrivals: Arrivals
    database: Database

    async def some_time(self, least_s: float = 0.3, most_s: float = 1.2) -> None:
        """Let a random time pass."""
        await asyncio.sleep(self.draw.uniform(least_s, most_s))

    async def snapshot(self) -> None:
        """Ask for a snapshot and wait until it is complete."""
        await snapshot_folder(self.settings)

    async def note_recovery(self, since_s: float, hung_after_s: float = 90.0) -> None:
        """Wait until an event accepted after ``since_s`` is answered, and note how long that took."""
        self.tally.recovery_s.append(await self.arrivals.recovered(since_s, hung_after_s))


@asynccontextmanager
async def scene(
    world: World, ledger: Ledger, row: str, what: str, *, users: int = 200, per_s: float = 300.0
) -> AsyncIterator[Scene]:
    """Play one round of a row under load; afterwards count, note it in the ledger, and judge it."""
    tally = Tally(row, what, ledger.next_seed(row))
    settings = world.settings
    background = Load(settings, tally.seed, world.fresh_users(users), per_s)
    async with open_documents(settings) as database, Arrivals(settings) as arrivals:
        async with background:
            yield Scene(settings, tally, random.Random(f"{row}/{tally.seed}"), background, arrivals, database)
        tally.sent, tally.acknowledged = background.acknowledged.sent, len(background.acknowledged.accepted)
        await count(world, tally, background.acknowledged)
        ledger.note(tally)
        judge(tally)
        await archive_holds(database, world.counted["applied"])


async def count(world: World, tally: Tally, acknowledged: Acknowledged) -> dict[str, bytes]:
    """Wait until all is worked off; compare the workers with the log, and their snapshot with the oracle.

    Returns
    -------
    Every user's history, from the snapshot
    """
    await folded_to_the_end(world)
    result = await settled(world.settings, world.ports(), worked_off, timeout_s=120.0)
    assert worked_off(result), f"pending {result.get('pending')}, behind {result.get('lists_behind')}"
    for name in _CLASSES:
        setattr(tally, name, result[name] - world.counted[name])
        world.counted[name] = result[name]
    histories = await held_histories(world.settings)
    held = Counter({user: listens_of(history) for user, history in histories.items()})
    lost, double = differences(expected_listens(acknowledged.accepted), held, acknowledged.last)
    tally.lost += lost
    tally.double += double
    behind = await users_behind(world.settings, acknowledged.last)
    assert not behind, f"{len(behind)} users have no list that answers their last event"
    return histories


async def folded_to_the_end(world: World, hung_after_s: float = 240.0) -> None:
    """Wait, by looking at positions alone, until the workers have folded all that is in the log."""
    async with LogReader(world.settings) as reader:
        ends = await reader.end_offsets()
    until = time.monotonic() + hung_after_s
    positions: dict[int, int] = {}
    while time.monotonic() < until:
        assert world.ports(), "no worker runs any more"
        positions = await world.positions()
        if all(positions.get(partition, -1) >= end for partition, end in ends.items()):
            return
        await asyncio.sleep(0.1)
    raise AssertionError(f"folded up to {positions}, the log ends at {ends}")


def judge(tally: Tally) -> None:
    """Nothing acknowledged is lost or has effect twice; what was repeated is known as such."""
    assert (tally.lost, tally.double) == (0, 0), tally
    assert (tally.applied, tally.late, tally.dead) == (tally.acknowledged, 0, 0), tally
    assert tally.duplicates <= tally.sent - tally.acknowledged, tally


async def archive_holds(
    database: Database, applied: int, hung_after_s: float = 60.0, of_log: str = ""
) -> None:
    """Wait until the archive holds as many events, of one log or of any, as were applied."""
    until = time.monotonic() + hung_after_s
    found = -1
    while time.monotonic() < until:
        found = await database["archive"].count_documents({"_id": {"$regex": f"^{of_log}"}})
        if found >= applied:
            break
        await asyncio.sleep(0.1)
    assert found == applied, f"the archive holds {found} events of {applied}"


async def held_once(world: World, names: Sequence[str], hung_after_s: float = 90.0) -> dict[int, list[str]]:
    """Wait until each of the 12 partitions is held by exactly one of ``names``; return who holds what."""
    until = time.monotonic() + hung_after_s
    owners: dict[int, list[str]] = {}
    while time.monotonic() < until:
        owners = await world.owners()
        holders = [one for some in owners.values() for one in some]
        if len(owners) == len(holders) == 12 and set(holders) == set(names):
            return owners
        await asyncio.sleep(0.2)
    raise AssertionError(f"not every partition has one owner among {names}: {owners}")
