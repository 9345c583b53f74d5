"""A replay by two processes against one worker that folds live, from the same parts of the same log.

Both sides begin at parts that hold 50 interactions a user on average and read the same plays from the same
real broker, alternating, timed from the first record that is folded. Archive and ranking are off in the
worker; the replay's time ends when its parts and its manifest are written. ``equal`` says whether the
digests of both are those of an independent fold.
``ratio`` is the replay's events/s over the worker's: must 2, target 5. The log is so long that the replay
takes seconds. Where others use the cores too, two processes lose more to them than one: ``cpu_ratio``, of the
processor time that an event takes with all starts, is then what to read; it is of one core over one core.
"""

import argparse
import asyncio
import resource
import shutil
import statistics
import threading
from importlib.metadata import version
from typing import Any

from rich.console import Console

from agents.replay.run import Request, replay
from bench._played_log import append_plays
from bench._world import own_world
from bench.worker_rate import expected_digests, folded_by_worker
from connections.log_topics import ensure_topics
from connections.snapshot_store import SnapshotStore
from schemas.settings import Settings


def run(arguments: list[str]) -> dict[str, Any]:
    """Measure with a broker and a mongod of its own."""
    parser = argparse.ArgumentParser(prog="python -m bench replay", description=__doc__)
    parser.add_argument("--events", type=int, default=2_000_000)
    parser.add_argument("--users", type=int, default=20_000)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args(arguments)
    with own_world() as settings:
        expected, ends = asyncio.run(_made(settings, options.events, options.users))
        live: list[float] = []
        replayed: list[dict[str, Any]] = []
        cpu_s: list[tuple[float, float]] = []
        equal = True
        for _ in range(options.repeats):
            began_s = _cpu_s()
            rate, digests = asyncio.run(folded_by_worker(settings, ends))
            live.append(rate)
            between_s = _cpu_s()
            found, theirs = _replayed(settings, options.processes)
            replayed.append(found)
            cpu_s.append((between_s - began_s, _cpu_s() - between_s))
            equal = equal and digests == expected == theirs
    rates = [found["records_per_s"] for found in replayed]
    ratios = [mine / theirs for mine, theirs in zip(rates, live, strict=True)]
    return {
        "ratio": round(statistics.median(ratios), 3),
        "low": round(min(ratios), 3),
        "high": round(max(ratios), 3),
        "equal": equal,
        "replay_events_per_s": rates,
        "worker_events_per_s": [round(rate) for rate in live],
        "cpu_ratio": round(statistics.median(worker / mine for worker, mine in cpu_s), 3),
        "cpu_us_per_event": {
            side: [round(1e6 * spent / options.events, 2) for spent in column]
            for side, column in zip(("worker", "replay"), zip(*cpu_s, strict=True), strict=True)
        },
        "replay_s_with_start": [found["seconds"] for found in replayed],
        "processes": options.processes,
        "events": options.events,
        "users": options.users,
        "versions": {name: version(name) for name in ("segue", "faust-streaming", "aiokafka", "msgspec")},
    }


def _cpu_s() -> float:
    """Return the processor time of this process and of those that it started and that ended."""
    spent = [resource.getrusage(of) for of in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in spent)


async def _made(settings: Settings, events: int, users: int) -> tuple[dict[int, str], dict[int, int]]:
    await ensure_topics(settings)
    await append_plays(settings, events, users)
    return await expected_digests(settings, users)


def _replayed(settings: Settings, processes: int) -> tuple[dict[str, Any], dict[int, str]]:
    """Return what a replay says of itself, and its digests; what it wrote is removed for the next one."""
    found = replay(
        settings, Request(processes=processes), Console(stderr=True, quiet=True), threading.Event()
    )
    store = SnapshotStore(settings.snapshot_location)
    manifest = store.manifest(found["generation"], found["snapshot_id"])
    assert manifest is not None
    shutil.rmtree(settings.data_dir / "snapshots" / manifest.generation / manifest.snapshot_id)
    return found, {part.partition: part.digest for part in manifest.parts}
