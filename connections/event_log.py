"""Kafka through aiokafka: read a range without a group."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing
from types import TracebackType
from typing import NamedTuple, Self

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError, OffsetOutOfRangeError

from connections.log_fetch import Record, fetched
from schemas import events
from schemas.errors import LogMismatch, LogUnavailable, MalformedEvent
from schemas.settings import Settings
from schemas.topics import PLAYS, Topic

_READ_FETCH_BYTES = 4_194_304
_FETCH_WAIT_MS = 20  # one that waits for more delays the next, which may be for another partition
_STOP_S = 0.5
_METADATA_S = 5.0
_NAME_WITHIN_S = 10.0


class LogRecord(NamedTuple):
    """One record as it stands in a partition."""

    offset: int
    key: bytes | None
    value: bytes | None


def topic_name(settings: Settings, topic: Topic) -> str:
    """Return the name of ``topic`` on the broker."""
    return settings.topic_prefix + topic.name


async def start(settings: Settings, client: AIOKafkaConsumer | AIOKafkaProducer) -> None:
    """Start a client of the broker.

    Raises
    ------
    LogUnavailable
        Kafka does not answer.
    """
    try:
        await client.start()
    except KafkaError as error:
        await client.stop()
        raise LogUnavailable(f"Kafka does not answer at {settings.kafka_address}: {error}") from error


class LogReader:
    """A consumer without a group that reads ranges of one topic."""

    def __init__(self, settings: Settings, topic: Topic = PLAYS) -> None:
        self._settings = settings
        self._name = topic_name(settings, topic)
        self._consumer: AIOKafkaConsumer | None = None

    async def __aenter__(self) -> Self:
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self._settings.kafka_address,
            group_id=None,
            enable_auto_commit=False,
            auto_offset_reset="none",
        )
        await start(self._settings, consumer)
        self._consumer = consumer
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._consumer is not None:
            await _stop(self._consumer)

    async def read(
        self, partition: int, start: int, end: int, *, timeout_s: float = 30.0
    ) -> AsyncIterator[list[LogRecord]]:
        """Yield the records ``[start, end)`` of a partition, in order, in lists, as ``read_tuples``."""
        async for records in self.read_tuples(partition, start, end, timeout_s=timeout_s):
            yield list(map(LogRecord._make, records))

    async def read_tuples(
        self,
        partition: int,
        start: int,
        end: int,
        *,
        timeout_s: float = 30.0,
        fetch_bytes: int = _READ_FETCH_BYTES,
    ) -> AsyncIterator[list[Record]]:
        """Yield ``(offset, key, value)`` of ``[start, end)``, in order, in lists: for who reads them all.

        Parameters
        ----------
        fetch_bytes : about as much as one fetch brings; little for who reads single records

        Raises
        ------
        LogUnavailable
            No record came for ``timeout_s`` although the range is not read, or one is damaged.
        LogMismatch
            The log does not hold the range.
        """
        position = start
        lists = fetched(
            self._require()._client,
            TopicPartition(self._name, partition),
            start,
            end,
            fetch_bytes=fetch_bytes,
            wait_ms=_FETCH_WAIT_MS,
            timeout_s=timeout_s,
        )
        try:
            async with aclosing(lists):
                async for records in lists:
                    yield records
                    position = records[-1][0] + 1
        except OffsetOutOfRangeError as error:
            raise LogMismatch(
                f"{self._name}/{partition} holds no offset {position}: "
                "its records were deleted, or the log was made anew"
            ) from error
        except (KafkaError, TimeoutError) as error:
            raise LogUnavailable(
                f"reading {self._name}/{partition} at offset {position}: {error!r}"
            ) from error

    async def end_offsets(self) -> dict[int, int]:
        """Return the end offset of each partition (the offset that the next record gets)."""
        consumer = self._require()
        partitions = await self._partitions()
        try:
            found: Mapping[TopicPartition, int] = await consumer.end_offsets(
                [TopicPartition(self._name, p) for p in partitions]
            )
        except (KafkaError, TimeoutError) as error:
            raise LogUnavailable(f"end offsets of {self._name}: {error!r}") from error
        return {where.partition: offset for where, offset in sorted(found.items())}

    async def offsets_at(self, time_ms: int) -> dict[int, int | None]:
        """Return each partition's first offset that Kafka stamped at or after a time; None without one."""
        consumer = self._require()
        asked = {TopicPartition(self._name, p): time_ms for p in await self._partitions()}
        try:
            found = await consumer.offsets_for_times(asked)
        except (KafkaError, TimeoutError) as error:
            raise LogUnavailable(f"offsets of {self._name} by time: {error!r}") from error
        return {
            where.partition: None if place is None else place.offset for where, place in sorted(found.items())
        }

    async def generation(self) -> str:
        """Return the generation that the first record of every partition names.

        Raises
        ------
        LogMismatch
            The topic is missing, was made with another number of partitions or not by Segue, or
            its partitions name different generations.
        """
        partitions = await self._partitions()
        self._check_count(len(partitions))
        found = {await self.first_name(partition) for partition in partitions}
        if len(found) != 1:
            raise LogMismatch(f"the partitions of {self._name} name different logs: {sorted(found)}")
        return found.pop()

    async def check(self, generation: str) -> None:
        """Make sure that the topic still is the log of that generation; costs one record and its metadata.

        Raises
        ------
        LogMismatch
            It was made anew, or has another number of partitions.
        LogUnavailable
            Kafka does not answer, or has no such topic now.
        """
        consumer = self._require()
        found = await self.first_name(0)
        if found != generation:
            raise LogMismatch(
                f"topic {self._name} was made anew: it holds log {found}, this program works on {generation}"
            )
        try:
            async with asyncio.timeout(_METADATA_S):
                await consumer._client.force_metadata_update()
        except (KafkaError, TimeoutError) as error:
            raise LogUnavailable(f"metadata of {self._name}: {error!r}") from error
        if partitions := consumer.partitions_for_topic(self._name):
            self._check_count(len(partitions))

    def _check_count(self, partitions: int) -> None:
        if not partitions:
            raise LogMismatch(f"there is no topic {self._name}: `segue topics` (or `segue up`) makes it")
        if partitions != PLAYS.partitions:
            raise LogMismatch(
                f"topic {self._name} has {partitions} partitions, not {PLAYS.partitions}: "
                "copy the log into a topic made by `segue topics`"
            )

    async def first_name(self, partition: int) -> str:
        """Return the log's name in a partition's first record; raise ``LogMismatch`` without one."""
        try:
            # the broker sends one whole batch, however few bytes are asked for
            async for [(offset, _, value)] in self.read_tuples(
                partition, 0, 1, timeout_s=_NAME_WITHIN_S, fetch_bytes=1
            ):
                event = events.decode(value)
                if offset == 0 and isinstance(event, events.Generation):
                    return event.generation
        except MalformedEvent:
            pass  # somebody else's records
        except LogUnavailable as error:
            if (await self.end_offsets()).get(partition) == 0:
                raise LogUnavailable(
                    f"partition {partition} of {self._name} is empty: its log has no name yet, "
                    "`segue topics` gives it one"
                ) from error
            raise
        raise LogMismatch(
            f"partition {partition} of {self._name} does not begin with the name of its log: "
            "it was not made by `segue topics`, or its beginning was deleted"
        )

    async def _partitions(self) -> list[int]:
        consumer = self._require()
        until = time.monotonic() + _METADATA_S
        while True:
            try:
                async with asyncio.timeout(_METADATA_S):
                    await consumer._client.force_metadata_update()
                    await consumer.topics()
            except (KafkaError, TimeoutError) as error:
                raise LogUnavailable(f"metadata of {self._name}: {error!r}") from error
            found = sorted(consumer.partitions_for_topic(self._name) or ())
            # the broker tells of a topic that was just made a moment later than it answers
            if found or time.monotonic() > until:
                return found
            await asyncio.sleep(0.1)

    def _require(self) -> AIOKafkaConsumer:
        assert self._consumer is not None, "use LogReader as an async context manager"
        return self._consumer


async def _stop(consumer: AIOKafkaConsumer) -> None:
    """Stop a consumer, also when its fetcher swallows the first cancellation.

    aiokafka 0.14 loses a cancellation that comes while it gives up an assignment; its ``stop`` then waits for
    ever. Cancelling ``stop`` cancels the fetcher once more, and ``stop`` ends as it should.
    """
    stopping = asyncio.ensure_future(consumer.stop())
    while not (await asyncio.wait({stopping}, timeout=_STOP_S))[0]:
        stopping.cancel()
    if not stopping.cancelled():
        stopping.result()
