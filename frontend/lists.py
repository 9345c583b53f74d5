"""The newest list of each user, and the live streams that wait for the next one.

Newer means greater offset within one generation of the log; nothing else orders lists.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Sequence

import msgspec
import structlog

from frontend.metrics import Metrics

MAX_USERS = 20_000
"""Lists in memory (some 8 kB each); the others are read from collection ``lists``."""
_log = structlog.get_logger()


class _Head(msgspec.Struct, frozen=True):
    generation: str
    partition: int
    offset: int
    model_id: str | None
    brief: bool = False


_decoder = msgspec.json.Decoder(_Head)


class Subscription:
    """A slot of one: a newer list replaces an unread one, so a slow client never fills memory."""

    def __init__(self) -> None:
        self._value: bytes | None = None
        self._changed = asyncio.Event()
        self.closed = False

    def put(self, value: bytes) -> None:
        """Leave a list to be read."""
        self._value = value
        self._changed.set()

    def close(self) -> None:
        """End the stream."""
        self.closed = True
        self._changed.set()

    async def next(self, timeout_s: float) -> bytes | None:
        """Return the newest unread list, or None after ``timeout_s`` or when closed."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._changed.wait()
        except TimeoutError:
            return None
        value, self._value = self._value, None
        if not self.closed:
            self._changed.clear()
        return None if self.closed else value


class NewestLists:
    """Keeps what the topic says and hands it to the user's streams.

    Attributes
    ----------
    behind : users whose last record in the topic is older than what is held, with the (monotonic) time since
    """

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._lists: OrderedDict[str, tuple[_Head, bytes]] = OrderedDict()
        self._streams: dict[str, set[Subscription]] = {}
        self._closing = False
        self.generation: str | None = None
        self.behind: dict[str, float] = {}

    def take_in(self, generation: str, records: Sequence[tuple[bytes | None, bytes | None]]) -> None:
        """Take in records of topic ``recommendations`` of one log, in the order of the topic."""
        self.generation = generation
        for key, value in records:
            if key is None:
                continue
            user_id = key.decode("ascii", "replace")
            if value is None:
                self._lists.pop(user_id, None)
                self.behind.pop(user_id, None)
            else:
                self.offer(user_id, value, push=True)
        self._metrics.lists_held.set(len(self._lists))

    def offer(self, user_id: str, value: bytes, *, push: bool = False) -> None:
        """Keep a list if it is newer than the one that is held, and push it if asked to."""
        try:
            head = _decoder.decode(value)
        except msgspec.MsgspecError as error:
            _log.error("a record of the topic is not a list", user_id=user_id, reason=str(error))
            return
        if self.generation is not None and head.generation != self.generation:
            return
        held = self._lists.get(user_id)
        if held is not None and held[0].generation == head.generation:
            # at the same offset only a model that came later than its activation makes another list,
            # and one that was brief is made whole
            again = head.offset == held[0].offset and head.model_id == held[0].model_id
            again = again and (head.brief or not held[0].brief)
            if push:
                self._note_order(user_id, older=head.offset < held[0].offset)
            if again or head.offset < held[0].offset:
                return
        self._lists[user_id] = (head, value)
        self._lists.move_to_end(user_id)
        if len(self._lists) > MAX_USERS:
            forgotten, _ = self._lists.popitem(last=False)
            self.behind.pop(forgotten, None)
        if push:
            for stream in self._streams.get(user_id, ()):
                stream.put(value)

    def _note_order(self, user_id: str, *, older: bool) -> None:
        """Note whether the last record of a user is older than what is held."""
        if older:
            self.behind.setdefault(user_id, time.monotonic())
        else:
            self.behind.pop(user_id, None)

    def newest(self, user_id: str) -> bytes | None:
        """Return the newest list that is held of a user, or None."""
        held = self._lists.get(user_id)
        return held[1] if held else None

    def place(self, user_id: str) -> tuple[str, int, int] | None:
        """Return generation, partition and offset of the list that is held of a user, or None."""
        held = self._lists.get(user_id)
        return (held[0].generation, held[0].partition, held[0].offset) if held else None

    def streams_of(self, user_id: str) -> int:
        """Return how many streams the user holds open."""
        return len(self._streams.get(user_id, ()))

    def subscribe(self, user_id: str, limit: int) -> Subscription:
        """Return a new stream of the user's lists; closed at once above ``limit`` and while closing down."""
        stream = Subscription()
        if self._closing or self.streams_of(user_id) >= limit:
            stream.close()
        else:
            self._streams.setdefault(user_id, set()).add(stream)
            self._metrics.streams.inc()
        return stream

    def unsubscribe(self, user_id: str, stream: Subscription) -> None:
        """Forget a stream."""
        streams = self._streams.get(user_id, set())
        if stream in streams:
            streams.discard(stream)
            self._metrics.streams.dec()
        if not streams:
            self._streams.pop(user_id, None)

    def close(self) -> None:
        """End all streams; later ones end at once."""
        self._closing = True
        for streams in self._streams.values():
            for stream in streams:
                stream.close()

    def close_user(self, user_id: str) -> None:
        """End the streams of one user, who has logged out."""
        for stream in self._streams.get(user_id, ()):
            stream.close()
