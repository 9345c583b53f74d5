"""The states of the partitions that this worker holds, kept equal to the log.

The state of a partition is the fold of its log below a position. A delivered record is folded only if it is
the one at the position; anything else, a hole, a repetition or a partition that has just come, means restore.
What was delivered, committed, killed or paused therefore never decides the state.
"""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Iterable, Sequence
from itertools import pairwise

import structlog

from agents.restore import OnBarrier, Restorer
from recommender.partition import Folded, PartitionState, Record

_log = structlog.get_logger()
OnFolded = Callable[[PartitionState, Sequence[Record], Sequence[Folded]], Awaitable[None]]


class Partitions:
    """One state per partition held.

    Parameters
    ----------
    restorer : makes a state from parts and log
    on_barrier : called with the state exactly below each barrier
    on_folded : awaited with every run of records folded live, in order; sends what they cause
    """

    def __init__(self, restorer: Restorer, on_barrier: OnBarrier, on_folded: OnFolded) -> None:
        self._restorer = restorer
        self._on_barrier = on_barrier
        self._on_folded = on_folded
        self._locks: defaultdict[int, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._releases: Counter[int] = Counter()
        self.states: dict[int, PartitionState] = {}
        self.restores = 0

    async def fold(self, partition: int, records: Sequence[Record], committed: int) -> None:
        """Fold delivered records, after restoring the partition if they do not follow its position.

        Parameters
        ----------
        records : of one partition; a hole or a repetition among them is one in delivery
        committed : offset below which everything that the log causes is known to be acknowledged;
            what lies between it and the first record is worked off first
        """
        releases = self._releases[partition]
        async with self._locks[partition]:
            for run in _without_holes(records):
                if self._releases[partition] != releases:
                    return
                first = run[0][0]
                state = self.states.get(partition)
                if state is None or state.position != first:
                    state = await self._catch_up(partition, state, first, committed, releases)
                if state is not None:
                    await self._fold_live(state, run)

    async def hold(self, partition: int, committed: int) -> None:
        """Restore a partition that was just assigned, before its first record comes."""
        releases = self._releases[partition]
        async with self._locks[partition]:
            if partition not in self.states:
                await self._restore(partition, committed, releases)

    def release(self, partitions: Iterable[int]) -> None:
        """Forget the states of partitions that were revoked; what is being restored for them is let go."""
        for partition in partitions:
            self._releases[partition] += 1
            self.states.pop(partition, None)

    def lock(self, partition: int) -> asyncio.Lock:
        """Return the lock under which a partition's state changes and its lists are ranked."""
        return self._locks[partition]

    async def _catch_up(
        self, partition: int, state: PartitionState | None, first: int, committed: int, releases: int
    ) -> PartitionState | None:
        """Return the state at ``first``; None when the partition was revoked meanwhile."""
        resume = min(committed if state is None else state.position, first)
        if state is not None:
            _log.warning(
                "records do not follow the position",
                partition=partition,
                position=state.position,
                delivered=first,
            )
        if state is None or state.position != resume:
            self.states.pop(partition, None)
            state = await self._restore(partition, resume, releases)
        if state is not None:
            async for records in self._restorer.records(partition, resume, first):
                if self._releases[partition] != releases:
                    return None
                await self._fold_live(state, records)
        return state

    async def _restore(self, partition: int, offset: int, releases: int) -> PartitionState | None:
        """Hold the state below ``offset``; None when the partition was revoked meanwhile."""
        self.restores += 1
        state = await self._restorer.state_below(partition, offset)
        if self._releases[partition] != releases:
            return None
        self.states[partition] = state
        return state

    async def _fold_live(self, state: PartitionState, records: Sequence[Record]) -> None:
        folded = state.fold(records, self._on_barrier)
        await self._on_folded(state, records, folded)


def _without_holes(records: Sequence[Record]) -> list[Sequence[Record]]:
    """Cut delivered records where one does not follow the one before: nearly never."""
    offsets = [offset for offset, _, _ in records]
    if offsets == list(range(offsets[0], offsets[0] + len(offsets))):
        return [records]
    cuts = [at for at in range(1, len(offsets)) if offsets[at] != offsets[at - 1] + 1]
    return [records[start:end] for start, end in pairwise([0, *cuts, len(records)])]
