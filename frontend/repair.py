"""An older list that came after a newer one is followed by the newer one again.

The topic is compacted: its last record of a user is what a web process that starts later finds. A worker that
was paused while it sent, and woke after its partitions had moved, leaves an older list there.
"""

import asyncio
import random
import time

import structlog

from connections.feed_reader import TopicTail
from connections.steady_writer import SteadyWriter
from frontend.lists import NewestLists
from schemas.errors import LogUnavailable
from schemas.topics import RECOMMENDATIONS

_log = structlog.get_logger()
_LOOK_S = 0.5
_LEAST_S, _MOST_S = 1.0, 3.0
"""Between these, drawn by each process for itself: the first one's record tells the others that it is done,
and a new list of the user, which needs no repair, has mostly come by then."""


class Repair:
    """Appends what is held of each user whose last record in the topic is older. Run ``run``.

    The same bytes under the same key: doing it twice, or in several processes, changes nothing. Should a new
    list come between the look and the append, that one is what is held, and is repaired in its turn.
    """

    def __init__(self, lists: NewestLists, tail: TopicTail, writer: SteadyWriter) -> None:
        self._lists = lists
        self._tail = tail
        self._writer = writer

    async def run(self) -> None:
        """Repair for as long as the program lives; a topic that is still being read is left alone."""
        wait_s = random.uniform(_LEAST_S, _MOST_S)
        while True:
            await asyncio.sleep(_LOOK_S)
            if not self._tail.caught_up:
                continue
            before = time.monotonic() - wait_s
            due = [user_id for user_id, since in self._lists.behind.items() if since < before]
            for user_id in due:
                await self._append(user_id)
            if due:
                wait_s = random.uniform(_LEAST_S, _MOST_S)

    async def _append(self, user_id: str) -> None:
        value = self._lists.newest(user_id)
        since = self._lists.behind.pop(user_id, None)
        if value is None or since is None:
            return
        try:
            await self._writer.append(RECOMMENDATIONS, [(user_id.encode(), value)])
            _log.info("a list stands at the end of its topic again", user_id=user_id)
        except LogUnavailable:
            self._lists.behind.setdefault(user_id, since)
