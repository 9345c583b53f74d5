"""Lists beside the live ones and never in their way: after an activation, and with rails that are owed."""

import asyncio
import time

from agents.lists import Lists
from agents.partitions import Partitions
from agents.wanted import Wanted, users_seen_last

_AT_ONCE = 8
_LOOK_S = 0.25
CALM_MS = 1_000.0
"""Time without a brief list after which rails that are owed are made."""


class Reranking:
    """Makes lists anew, a few users at a time, one partition after the other, resting as long as it works.

    Each list reflects the state of its moment and names its last offset, so it never replaces a newer one.

    Attributes
    ----------
    made : lists made anew since the start
    """

    def __init__(self, partitions: Partitions, lists: Lists) -> None:
        self._partitions = partitions
        self._lists = lists
        self._one = asyncio.Semaphore(1)
        self.made = 0

    async def partition(self, partition: int) -> None:
        """Make the lists of one partition anew; ends when they are acknowledged or it moved away."""
        async with self._one:
            state = self._partitions.states.get(partition)
            users = [] if state is None else users_seen_last(state)
            for start in range(0, len(users), _AT_ONCE):
                began = time.monotonic()
                async with self._partitions.lock(partition):
                    state = self._partitions.states.get(partition)
                    if state is None:
                        return
                    last = state.position - 1
                    wanted = [Wanted(user, last, None) for user in users[start : start + _AT_ONCE]]
                    acknowledged = await self._lists.make(state, wanted)
                await acknowledged
                self.made += len(wanted)
                await asyncio.sleep(time.monotonic() - began)

    async def run(self) -> None:
        """Make lists whole that were brief, whenever the load has passed, for as long as the worker lives."""
        while True:
            await asyncio.sleep(_LOOK_S)
            while self._lists.owed and time.time() * 1000 - self._lists.last_brief_ms > CALM_MS:
                began = time.monotonic()
                async with self._one:
                    # what was owed may have been answered by newer lists meanwhile
                    if (owed := next(iter(self._lists.owed.values()), None)) is not None:
                        await self._make_whole(owed.partition)
                await asyncio.sleep(time.monotonic() - began)

    async def _make_whole(self, partition: int) -> None:
        async with self._partitions.lock(partition):
            wanted = self._lists.owed_with(partition, _AT_ONCE)
            state = self._partitions.states.get(partition)
            if state is None or not wanted:
                return
            acknowledged = await self._lists.make(state, wanted, whole=True)
        await acknowledged

    async def all_with(self, model_id: str) -> None:
        """Make the lists anew in every partition whose active model is ``model_id``."""
        for state in list(self._partitions.states.values()):
            if state.model_id == model_id:
                await self.partition(state.partition)
