"""Restore: the newest part of a partition and the log from its cut."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable

import structlog

from agents.parts import newest_state
from connections.event_log import LogReader
from connections.snapshot_store import SnapshotStore
from recommender.partition import Folded, PartitionState, Record
from schemas.events import Barrier
from schemas.settings import Settings

_log = structlog.get_logger()
OnBarrier = Callable[[PartitionState, Barrier], None]


class Restorer:
    """Makes the state of a partition below any offset, with a reader of its own.

    Parameters
    ----------
    generation : the log's name, checked at the start of the worker
    on_barrier : called for each barrier met; its part is written if it is missing

    Attributes
    ----------
    folded : records folded by restores since the start
    """

    def __init__(
        self, settings: Settings, store: SnapshotStore, generation: str, on_barrier: OnBarrier
    ) -> None:
        self._settings = settings
        self._store = store
        self._generation = generation
        self._on_barrier = on_barrier
        self.folded = 0

    async def state_below(self, partition: int, offset: int) -> PartitionState:
        """Return the fold of ``plays``[partition] below ``offset``.

        Raises
        ------
        LogUnavailable
            Kafka did not answer in time.
        """
        began = time.monotonic()
        state = await asyncio.to_thread(newest_state, self._store, self._generation, partition, offset)
        cut = state.position
        async for records in self.records(partition, cut, offset):
            self.folded += len(state.fold(records, self._on_barrier))
            await asyncio.sleep(0)
        _log.info(
            "restored",
            partition=partition,
            cut=cut,
            position=state.position,
            users=len(state.histories),
            seconds=round(time.monotonic() - began, 3),
        )
        return state

    async def records(self, partition: int, start: int, end: int) -> AsyncIterator[list[Record]]:
        """Yield the records ``[start, end)`` of a partition in lists."""
        if start >= end:
            return
        async with LogReader(self._settings) as reader:
            async for records in reader.read_tuples(partition, start, end):
                yield records

    async def folded_again(
        self, partition: int, start: int, end: int
    ) -> AsyncIterator[tuple[list[Record], list[Folded]]]:
        """Yield the records ``[start, end)`` of a partition in lists, with what became of each.

        Raises
        ------
        LogUnavailable
            Kafka did not answer in time.
        """
        state = await self.state_below(partition, start)
        async for records in self.records(partition, start, end):
            yield records, state.fold(records)
            await asyncio.sleep(0)
