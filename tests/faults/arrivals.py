"""When lists arrived: the time from a fault until every partition answers again."""

import asyncio
import time
from types import TracebackType
from typing import Self

from aiokafka import AIOKafkaConsumer, TopicPartition

from connections.event_log import topic_name
from schemas.recommendations import decode_recommendations
from schemas.settings import Settings
from schemas.topics import RECOMMENDATIONS


class Arrivals:
    """Follows topic ``recommendations`` and notes when each list came and when its event was accepted."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._seen: list[tuple[int, float, float]] = []  # (partition, accepted, arrived), seconds since 1970

    async def __aenter__(self) -> Self:
        name = topic_name(self._settings, RECOMMENDATIONS)
        self._consumer = AIOKafkaConsumer(
            bootstrap_servers=self._settings.kafka_address, group_id=None, fetch_max_wait_ms=50
        )
        await self._consumer.start()
        self._consumer.assign([TopicPartition(name, p) for p in range(RECOMMENDATIONS.partitions)])
        await self._consumer.seek_to_end()
        self._task = asyncio.create_task(self._follow())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await self._consumer.stop()

    async def _follow(self) -> None:
        async for record in self._consumer:
            found = decode_recommendations(record.value)
            if found.cause is not None:
                self._seen.append((found.partition, found.timings.accepted_ms / 1000, time.time()))

    async def recovered(self, since_s: float, hung_after_s: float = 90.0) -> float:
        """Return the seconds from ``since_s`` until each partition has answered an event accepted after it.

        Raises
        ------
        AssertionError
            Some partition answered nothing for ``hung_after_s``: nobody serves it.
        """
        at, last = 0, 0.0
        waiting = set(range(RECOMMENDATIONS.partitions))
        while time.time() < since_s + hung_after_s:
            assert not self._task.done(), self._task
            for partition, accepted, arrived in self._seen[at:]:
                if accepted >= since_s and partition in waiting:
                    waiting.remove(partition)
                    last = arrived
            if not waiting:
                return last - since_s
            at = len(self._seen)
            await asyncio.sleep(0.02)
        raise AssertionError(f"no list came from partitions {sorted(waiting)} for {hung_after_s:g} s")
