"""At a barrier: the state exactly there, written as a part while folding goes on."""

import asyncio
from collections import defaultdict, deque
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import structlog

from agents.beside import Beside
from agents.parts import write_part
from agents.snapshots import Coordinator
from connections.snapshot_store import SnapshotStore
from recommender.partition import PartitionState
from schemas import events

_log = structlog.get_logger()
_WAITING = 4
"""States of a partition that wait to be written at most, the newest: a rebuild meets barriers faster."""


class Barriers:
    """Writes the part of a partition for each barrier that it meets."""

    def __init__(self, store: SnapshotStore, coordinator: Coordinator, beside: Beside) -> None:
        self._store = store
        self._coordinator = coordinator
        self._beside = beside
        # one part at a time: each further thread that computes makes the event loop wait longer for its turn
        self._thread = ThreadPoolExecutor(1, "parts")
        self._waiting: defaultdict[int, deque[tuple[str, PartitionState]]] = defaultdict(
            partial(deque, maxlen=_WAITING)
        )

    def met(self, state: PartitionState, barrier: events.Barrier) -> None:
        """Begin to write the part of a state that stands exactly below a barrier."""
        self._coordinator.begun(barrier.snapshot_id)
        self._waiting[state.partition].append((barrier.snapshot_id, state.copy()))
        self._beside.run(self._written(state.partition))

    async def _written(self, partition: int) -> None:
        await asyncio.get_running_loop().run_in_executor(self._thread, self._write, partition)

    def _write(self, partition: int) -> None:
        try:
            snapshot_id, state = self._waiting[partition].popleft()
        except IndexError:
            return  # others came meanwhile, and the oldest went
        written = write_part(self._store, snapshot_id, state)
        _log.info("part", snapshot_id=snapshot_id, partition=partition, cut=state.position, written=written)
