"""Kafka through aiokafka: append, and return when the broker has acknowledged."""

import asyncio
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, KafkaTimeoutError

from connections.event_log import start, topic_name
from connections.log_batches import MAX_BATCH_BYTES, append_all
from schemas import events
from schemas.errors import LogBroken, LogUnavailable
from schemas.settings import Settings
from schemas.topics import PLAYS, Topic

_MAX_REQUEST_BYTES = 1_000_000


class LogWriter:
    """An idempotent producer that returns only what the broker has acknowledged.

    Parameters
    ----------
    settings : where the log is
    timeout_s : seconds until an unacknowledged record raises ``LogUnavailable``
    """

    def __init__(self, settings: Settings, *, timeout_s: float = 30.0) -> None:
        self._settings = settings
        self._timeout_s = timeout_s
        self._producer: AIOKafkaProducer | None = None

    async def __aenter__(self) -> Self:
        producer = AIOKafkaProducer(
            bootstrap_servers=self._settings.kafka_address,
            acks="all",
            enable_idempotence=True,
            linger_ms=0,
            max_batch_size=MAX_BATCH_BYTES,
            max_request_size=_MAX_REQUEST_BYTES,
            request_timeout_ms=int(self._timeout_s * 1000),
        )
        await start(self._settings, producer)
        self._producer = producer
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._producer is not None:
            try:
                await asyncio.wait_for(self._producer.stop(), self._timeout_s)
            except TimeoutError:
                pass  # the broker is away: what was not acknowledged was never answered by 202

    async def append(
        self,
        topic: Topic,
        records: Sequence[tuple[bytes | None, bytes | None]],
        *,
        partition: int | None = None,
    ) -> list[int]:
        """Append ``(key, value)`` records, in order; return their offsets once all are acknowledged.

        Raises
        ------
        LogUnavailable
            Not all were acknowledged in time. Some may stand in the log: repeat them all, the
            session windows make the effect single.
        LogBroken
            The producer cannot go on.
        """
        assert self._producer is not None, "use LogWriter as an async context manager"
        name = topic_name(self._settings, topic)
        try:
            async with asyncio.timeout(self._timeout_s):
                return await append_all(self._producer, name, records, partition)
        except (KafkaError, TimeoutError) as error:
            broken = isinstance(error, KafkaError) and not error.retriable
            kind = LogBroken if broken and not isinstance(error, KafkaTimeoutError) else LogUnavailable
            raise kind(
                f"Kafka did not acknowledge {len(records)} record(s) of {name} "
                f"within {self._timeout_s:g} s: {error!r}"
            ) from error

    async def append_event(self, user_id: str, event: events.UserEvent) -> int:
        """Append one user event; return its offset."""
        [offset] = await self.append(PLAYS, [(user_id.encode(), events.encode(event))])
        return offset

    async def append_control(self, event: events.ControlRecord) -> dict[int, int]:
        """Append a control record to every partition; return its offset in each."""
        value = events.encode(event)
        return {
            partition: (await self.append(PLAYS, [(None, value)], partition=partition))[0]
            for partition in range(PLAYS.partitions)
        }
