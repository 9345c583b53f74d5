"""After an activation: new lists for users seen lately, beside the live ones and never in their way."""

import asyncio
import time

from agents.lists import Lists, Wanted, users_seen_last
from agents.partitions import Partitions

_AT_ONCE = 8


class Reranking:
    """Makes lists anew, a few users at a time, one partition after the other, resting as long as it works.

    Each list reflects the state of its moment and names its last offset, so it never replaces a newer one.
    """

    def __init__(self, partitions: Partitions, lists: Lists) -> None:
        self._partitions = partitions
        self._lists = lists
        self._one = asyncio.Semaphore(1)

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
                await asyncio.sleep(time.monotonic() - began)

    async def all_with(self, model_id: str) -> None:
        """Make the lists anew in every partition whose active model is ``model_id``."""
        for state in list(self._partitions.states.values()):
            if state.model_id == model_id:
                await self.partition(state.partition)
