"""Hears lists and plays as they appear in their topics, and says how long after the play was accepted."""

import asyncio
import time
from types import TracebackType
from typing import Any, Self

import msgspec
import numpy as np
from aiokafka import AIOKafkaConsumer, TopicPartition

from connections.event_log import topic_name
from schemas.settings import Settings
from schemas.topics import PLAYS, RECOMMENDATIONS

_QUIET_S = 2.0
_MANY_BYTES = 400_000


class _Head(msgspec.Struct):
    partition: int
    offset: int
    model_id: str | None


class Listener:
    """Two consumers without a group, at the end of both topics.

    The plays' own consumer is the bare round trip: a record to the broker and back, and nothing between.

    Parameters
    ----------
    loaded : for a load that keeps the machine busy: the plays are not heard, and lists are fetched many at
        once, so that hearing costs little and a list is heard up to 20 ms later
    """

    def __init__(self, settings: Settings, *, loaded: bool = False) -> None:
        self._settings = settings
        self._loaded = loaded
        self._decode = msgspec.json.Decoder(_Head).decode
        self._tasks: list[asyncio.Task[None]] = []
        self._consumers: list[AIOKafkaConsumer] = []
        self.all_reflected = True
        self.begin()

    def begin(self) -> None:
        """Forget what was heard."""
        self._lists: dict[str, list[tuple[int, float]]] = {}
        self._plays: dict[tuple[str, int], float] = {}
        self._accepted: list[tuple[str, int, float, float]] = []
        self._awaited: dict[str, tuple[int, asyncio.Future[None]]] = {}
        self._last = time.perf_counter()
        self.with_model = False

    async def __aenter__(self) -> Self:
        plays = [] if self._loaded else [(PLAYS, self._hear_play)]
        for topic, hear in ((RECOMMENDATIONS, self._hear_list), *plays):
            consumer = AIOKafkaConsumer(
                bootstrap_servers=self._settings.kafka_address,
                group_id=None,
                fetch_max_wait_ms=20 if self._loaded else 10,
                fetch_min_bytes=_MANY_BYTES if self._loaded else 1,
            )
            await consumer.start()
            where = [TopicPartition(topic_name(self._settings, topic), p) for p in range(topic.partitions)]
            consumer.assign(where)
            await consumer.seek_to_end()
            self._consumers.append(consumer)
            self._tasks.append(asyncio.create_task(self._follow(consumer, hear)))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for consumer in self._consumers:
            await consumer.stop()

    def accepted(self, users: list[str], offsets: list[int], began: float) -> None:
        """Note that plays were acknowledged just now, which were appended at ``began``."""
        now = time.perf_counter()
        self._accepted.extend((who, offset, now, began) for who, offset in zip(users, offsets, strict=True))

    async def list_of(self, who: str, offset: int) -> None:
        """Return when a list of this user is heard that reflects ``offset``."""
        if any(reflected >= offset for reflected, _ in self._lists.get(who, ())):
            return
        heard: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._awaited[who] = offset, heard
        await heard

    async def quiet(self) -> None:
        """Return when no list has come for two seconds."""
        while time.perf_counter() - self._last < _QUIET_S:
            await asyncio.sleep(0.1)

    def figures(self) -> dict[str, Any]:
        """Return latencies in milliseconds.

        ``answered`` counts plays with a list that names just their offset; the latency of a play is that of
        the first list that reflects it. ``list_ms`` begins when the play was accepted; ``trip_ms`` when it
        was appended, as ``bare_ms`` does, the round trip of the play itself.
        """
        exact = {(who, offset) for who, lists in self._lists.items() for offset, _ in lists}
        waits, trips = [], []
        for who, offset, accepted, began in self._accepted:
            later = [heard for reflected, heard in self._lists.get(who, ()) if reflected >= offset]
            if later:
                waits.append(1000.0 * (min(later) - accepted))
                trips.append(1000.0 * (min(later) - began))
        self.all_reflected = self.all_reflected and len(waits) == len(self._accepted)
        bare = [1000.0 * (self._plays[w, o] - at) for w, o, _, at in self._accepted if (w, o) in self._plays]
        return {
            "answered": sum((who, offset) in exact for who, offset, *_ in self._accepted),
            "reflected": len(waits),
            "list_ms": _percentiles(waits),
        } | ({} if self._loaded else {"trip_ms": _percentiles(trips), "bare_ms": _percentiles(bare)})

    async def _follow(self, consumer: AIOKafkaConsumer, hear: Any) -> None:
        while True:
            for records in (await consumer.getmany(timeout_ms=1_000)).values():
                now = time.perf_counter()
                for record in records:
                    hear(record, now)

    def _hear_list(self, record: Any, now: float) -> None:
        head = self._decode(record.value)
        self._last = now
        self.with_model = self.with_model or head.model_id is not None
        who = record.key.decode()
        self._lists.setdefault(who, []).append((head.offset, now))
        if who in self._awaited and head.offset >= self._awaited[who][0]:
            self._awaited.pop(who)[1].set_result(None)

    def _hear_play(self, record: Any, now: float) -> None:
        if record.key is not None:
            self._plays[record.key.decode(), record.offset] = now


def _percentiles(values: list[float]) -> dict[str, float]:
    # a record can be heard before its acknowledgement is: then the wait is none
    found = np.maximum(values, 0.01) if values else np.array([np.nan])
    return {name: round(float(np.quantile(found, q)), 2) for name, q in (("p50", 0.5), ("p99", 0.99))}
