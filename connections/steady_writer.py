"""A log writer that comes back by itself: for a program that must live through a broker's absence."""

import asyncio
from collections.abc import Sequence
from types import TracebackType
from typing import Self

import stamina
import structlog
from aiokafka.errors import KafkaError

from connections.log_writer import LogWriter
from schemas.errors import LogUnavailable
from schemas.settings import Settings
from schemas.topics import Topic

_log = structlog.get_logger()
_PING_TIMEOUT_S = 2.0


class SteadyWriter:
    """Appends like ``LogWriter``; opens the producer in the background and replaces one that has died.

    A broker that is away costs each append at most ``timeout_s``. aiokafka's producer reconnects by
    itself; only one whose sender has ended (a fatal producer error) is replaced.

    Parameters
    ----------
    settings : where the log is
    timeout_s : seconds until an unacknowledged record raises ``LogUnavailable``
    """

    def __init__(self, settings: Settings, *, timeout_s: float) -> None:
        self._settings = settings
        self._timeout_s = timeout_s
        self._writer: LogWriter | None = None
        self._opened = asyncio.Event()
        self._broken = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._keep_open())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    @property
    def connected(self) -> bool:
        """Whether a producer has been started and has not died."""
        return self._writer is not None

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
            Not all were acknowledged within ``timeout_s``, waiting for the broker included.
        """
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._opened.wait()
                assert self._writer is not None
                return await self._writer.append(topic, records, partition=partition)
        except TimeoutError as error:
            raise LogUnavailable(
                f"Kafka at {self._settings.kafka_address} did not acknowledge within {self._timeout_s:g} s"
            ) from error
        except LogUnavailable as error:
            # A time-out heals by itself; any other answer may mean that the sender has ended.
            if isinstance(error.__cause__, KafkaError):
                self._broken.set()
            raise

    async def ping(self) -> bool:
        """Return whether the broker answers now."""
        producer = self._writer._producer if self._writer is not None else None
        if producer is None:
            return False
        try:
            async with asyncio.timeout(_PING_TIMEOUT_S):
                return bool(await producer.client.force_metadata_update())
        except (KafkaError, TimeoutError):
            return False

    async def _keep_open(self) -> None:
        while True:
            async for attempt in stamina.retry_context(
                on=LogUnavailable, attempts=None, timeout=None, wait_initial=0.2, wait_max=2.0
            ):
                with attempt:
                    writer = await LogWriter(self._settings, timeout_s=self._timeout_s).__aenter__()
            self._writer = writer
            self._opened.set()
            _log.info("log writer is open", kafka=self._settings.kafka_address)
            try:
                await self._broken.wait()
            finally:
                self._writer = None
                self._opened.clear()
                self._broken.clear()
                await writer.__aexit__(None, None, None)
            _log.warning("log writer had died and is opened anew")
