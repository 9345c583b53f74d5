"""Barriers at size: how long a part of many users stops the event loop while the worker catches up.

A worker restores 100,000 users (50 interactions each) from parts, then folds plays at full speed; a barrier
stands in the middle of them. A task of the same event loop notes how late it is woken: while partitions are
restored, while the parts are written, and after. ``ratio`` is the longest stop while parts are written over
the longest after; ``equal`` says whether the parts have the digests of an independent fold.
"""

import argparse
import asyncio
import shutil
import statistics
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from agents.app import Worker
from agents.opening import open_worker
from agents.snapshots import ask_for_snapshot
from bench._played_log import append_plays, commit_start, write_start
from bench._world import own_world
from connections.event_log import LogReader
from connections.log_topics import ensure_topics
from connections.log_writer import LogWriter
from connections.snapshot_store import SnapshotStore
from recommender.partition import PartitionState
from schemas.events import Barrier
from schemas.settings import Settings

_TICK_S = 0.001


def run(arguments: list[str]) -> dict[str, Any]:
    """Measure with a broker and a mongod of its own."""
    parser = argparse.ArgumentParser(prog="python -m bench barriers", description=__doc__)
    parser.add_argument("--users", type=int, default=100_000)
    parser.add_argument("--events", type=int, default=400_000)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args(arguments)
    with own_world() as settings:
        return asyncio.run(_measured(settings, options))


async def _measured(settings: Settings, options: argparse.Namespace) -> dict[str, Any]:
    await ensure_topics(settings)
    half = options.events // 2
    await append_plays(settings, half, options.users)
    async with LogWriter(settings) as writer:
        snapshot_id = await ask_for_snapshot(writer)
    await append_plays(settings, half, options.users, first=half)
    expected, ends = await _expected(settings, options.users, snapshot_id)
    runs = []
    for _ in range(options.repeats):
        runs.append(await _run(settings, snapshot_id, ends, expected))
        shutil.rmtree(settings.data_dir / "snapshots" / expected.generation / snapshot_id)
    ratios = [run["writing_ms"] / run["after_ms"] for run in runs]
    return {
        "ratio": round(statistics.median(ratios), 3),
        "low": round(min(ratios), 3),
        "high": round(max(ratios), 3),
        "equal": all(run.pop("equal") for run in runs),
        "runs": runs,
        "users": options.users,
        "events": options.events,
        "versions": {name: version(name) for name in ("segue", "faust-streaming", "pyarrow")},
    }


@dataclass(frozen=True)
class _Expected:
    """Digest of each part by an independent fold."""

    generation: str
    digests: dict[int, str]


async def _expected(settings: Settings, users: int, snapshot_id: str) -> tuple[_Expected, dict[int, int]]:
    states, ends = await write_start(settings, users)
    digests: dict[int, str] = {}
    generation = ""
    async with LogReader(settings) as reader:
        for partition, end in ends.items():
            state = states[partition]
            generation = state.generation or ""

            def below(state: PartitionState, _: Barrier) -> None:
                digests[state.partition] = state.digest()

            async for records in reader.read(partition, 1, end):
                state.fold(records, below)
    return _Expected(generation, digests), ends


async def _run(
    settings: Settings, snapshot_id: str, ends: dict[int, int], expected: _Expected
) -> dict[str, Any]:
    group = uuid.uuid4().hex
    await commit_start(settings, group, ends)
    folder = settings.data_dir / "snapshots" / expected.generation / snapshot_id
    stops: list[tuple[float, float]] = []
    async with open_worker(settings, ranked=False, archived=False, group=group) as worker:
        met: list[float] = []
        worker.coordinator.begun = lambda snapshot_id: met.append(time.perf_counter())  # type: ignore
        work = asyncio.create_task(worker.run())
        ticking = asyncio.create_task(_tick(stops))
        try:
            await _until(lambda: bool(worker.partitions.states), work)
            began = time.perf_counter()
            await _until(lambda: len(worker.partitions.states) == len(ends), work)
            restored = time.perf_counter()
            await _until(lambda: bool(met), work)
            await _until(lambda: len(list(folder.glob("*.parquet"))) == len(ends), work)
            written = time.perf_counter()
            await _until(lambda: _folded(worker) == sum(ends.values()), work)
            ended = time.perf_counter()
        finally:
            for task in (ticking, work):
                task.cancel()
            await asyncio.gather(ticking, work, return_exceptions=True)
    store = SnapshotStore(settings.snapshot_location)
    parts = store.parts(expected.generation, snapshot_id, len(ends)) or []
    return {
        "equal": {part.partition: part.digest for part in parts} == expected.digests,
        "restore_s": round(restored - began, 2),
        "restoring_ms": _longest(stops, began, restored),
        "writing_ms": _longest(stops, met[0], written),
        "after_ms": _longest(stops, written, ended),
        "parts_s": round(written - met[0], 2),
    }


async def _tick(stops: list[tuple[float, float]]) -> None:
    while True:
        began, worked = time.perf_counter(), time.process_time()
        await asyncio.sleep(_TICK_S)
        now = time.perf_counter()
        # a stop in which this process did not compute is the machine's, not the worker's
        stop_s = min(now - began - _TICK_S, time.process_time() - worked)
        stops.append((now, 1000.0 * stop_s))


async def _until(ready: Callable[[], bool], work: asyncio.Task[None]) -> None:
    while not ready():
        await asyncio.sleep(0.01)
        if work.done():
            work.result()


def _longest(stops: list[tuple[float, float]], start: float, end: float) -> float:
    return round(max((ms for at, ms in stops if start <= at <= end), default=0.0), 1)


def _folded(worker: Worker) -> int:
    return sum(state.position for state in worker.partitions.states.values())
