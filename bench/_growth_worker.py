"""One worker process of `bench growth`: it restores, folds what is in the log, and prints what it measured.

`python -m bench._growth_worker GROUP EVENTS`: so many events of the log stand behind the parts; with 0 the
parts are written instead. Archive and ranking are off.
"""

import asyncio
import gc
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from agents.app import Worker
from agents.opening import open_worker
from schemas.events import Barrier
from schemas.settings import Settings
from schemas.topics import PLAYS

WRITTEN = "written"
_PAGE_BYTES = 4_096


def resident_bytes() -> int:
    """Return the memory that this process holds."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE_BYTES


async def measured(settings: Settings, group: str, events: int) -> dict[str, Any]:
    """Run one worker and measure it."""
    async with open_worker(settings, ranked=False, archived=False, group=group) as worker:
        empty_bytes = resident_bytes()
        restored = _nothing_folded_before(worker)
        work = asyncio.create_task(worker.run())
        try:
            await _until(lambda: "restored" in worker.times.at and _held(worker), work)
            found: dict[str, Any] = {
                "restore_s": worker.times.at["restored"] - worker.times.at["assigned"],
                "resident_bytes": resident_bytes() - empty_bytes,
            }
            restored.set()
            found |= await (_folding(worker, work, events) if events else _writing(worker, work))
            found["digests"] = {p: state.digest() for p, state in worker.partitions.states.items()}
            return found
        finally:
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)


def _nothing_folded_before(worker: Worker) -> asyncio.Event:
    """Let chunks wait for an event; up to 16 of them are delivered meanwhile."""
    restored, confirmed = asyncio.Event(), worker.identity.confirmed

    async def confirmed_later() -> None:
        await restored.wait()
        await confirmed()

    worker.identity.confirmed = confirmed_later  # type: ignore[method-assign]
    return restored


async def _folding(worker: Worker, work: asyncio.Task[None], events: int) -> dict[str, Any]:
    began, first = time.perf_counter(), _folded(worker)
    end = events + PLAYS.partitions
    await _until(lambda: _folded(worker) >= end, work)
    return {"events_per_s": (end - first) / (time.perf_counter() - began), "measured_events": end - first}


async def _writing(worker: Worker, work: asyncio.Task[None]) -> dict[str, Any]:
    """Write all parts as at a barrier, one after the other in the thread for parts."""
    folder = worker.settings.data_dir / "snapshots" / worker.generation / WRITTEN
    began = time.perf_counter()
    for state in worker.partitions.states.values():
        worker.barriers.met(state, Barrier(snapshot_id=WRITTEN, server_time_ms=1))
    await _until(lambda: len(list(folder.glob("*.parquet"))) == PLAYS.partitions, work)
    seconds = time.perf_counter() - began
    return {"parts_s": seconds, "parts_bytes": sum(one.stat().st_size for one in folder.glob("*.parquet"))}


async def _until(ready: Callable[[], bool], work: asyncio.Task[None]) -> None:
    while not ready():
        await asyncio.sleep(0.002)
        if work.done():
            work.result()


def _held(worker: Worker) -> bool:
    return len(worker.partitions.states) == PLAYS.partitions


def _folded(worker: Worker) -> int:
    return sum(state.position for state in worker.partitions.states.values())


if __name__ == "__main__":
    print(json.dumps(asyncio.run(measured(Settings(), sys.argv[1], int(sys.argv[2])))))
