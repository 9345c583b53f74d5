"""Follow a topic from its beginning without a group, for as long as the program lives."""

import asyncio
from collections.abc import Callable, Sequence

import stamina
import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from connections.event_log import LogReader, topic_name
from schemas.errors import LogUnavailable
from schemas.settings import Settings
from schemas.topics import Topic

_log = structlog.get_logger()
_POLL_MS = 1_000
_MAX_RECORDS = 500
_FETCH_WAIT_MS = 20
_STOP_S = 2.0
Handler = Callable[[str, Sequence[tuple[bytes | None, bytes | None]]], None]


class TopicTail:
    """Hands every ``(key, value)`` of a topic to ``handler``, each partition in order.

    Attributes
    ----------
    generation : of the log of plays that is there; None until it is known

    Parameters
    ----------
    handler : called with the log's generation and the records, on the event loop; must return quickly
    """

    def __init__(self, settings: Settings, topic: Topic, handler: Handler) -> None:
        self._settings = settings
        self._topic = topic
        self._handler = handler
        self._missing: dict[TopicPartition, int] = {}
        self._started = False
        self.generation: str | None = None

    @property
    def caught_up(self) -> bool:
        """Whether all records that stood in the topic at the start have been handed on."""
        return self._started and not self._missing

    async def run(self) -> None:
        """Follow the topic until cancelled; an unreachable broker is tried again, without end.

        Raises
        ------
        LogMismatch
            The log is not one that Segue made, or lost its beginning.
        """
        async for attempt in stamina.retry_context(
            on=(LogUnavailable, KafkaError), attempts=None, timeout=None, wait_initial=0.2, wait_max=2.0
        ):
            with attempt:
                async with LogReader(self._settings) as log:
                    generation = await log.generation()
                self.generation = generation
                await self._follow(generation)

    async def _follow(self, generation: str) -> None:
        name = topic_name(self._settings, self._topic)
        # The broker is asked for partitions explicitly, so nothing is ever committed or rebalanced.
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self._settings.kafka_address,
            group_id=None,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            # A fetch that waits for more delays the next one, which may be for another partition.
            fetch_max_wait_ms=_FETCH_WAIT_MS,
        )
        try:
            await consumer.start()
            where = [TopicPartition(name, number) for number in range(self._topic.partitions)]
            consumer.assign(where)
            await consumer.seek_to_beginning(*where)
            ends = await consumer.end_offsets(where)
            starts = await consumer.beginning_offsets(where)
            self._missing = {w: end for w, end in ends.items() if end > starts[w]}
            self._started = True
            _log.info("following", topic=name, behind=sum(self._missing.values()))
            while True:
                found = await consumer.getmany(timeout_ms=_POLL_MS, max_records=_MAX_RECORDS)
                for records in found.values():
                    self._handler(generation, [(record.key, record.value) for record in records])
                await self._note_progress(consumer)
                if found:
                    # Give connected clients air while a long topic is read at the start.
                    await asyncio.sleep(0)
        finally:
            try:
                await asyncio.wait_for(consumer.stop(), _STOP_S)
            except TimeoutError:
                pass  # the broker is away, or the fetcher lost its cancellation: it has been cancelled again

    async def _note_progress(self, consumer: AIOKafkaConsumer) -> None:
        for where, end in list(self._missing.items()):
            if await consumer.position(where) >= end:
                del self._missing[where]
