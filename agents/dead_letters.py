"""Records that cannot be folded, to topic ``dead-letters`` with their place and reason."""

import asyncio
import time
from collections.abc import Sequence

import structlog

from connections.log_writer import LogWriter
from recommender.partition import Folded, Record
from recommender.windows import Outcome
from schemas import recommendations
from schemas.errors import LogBroken, LogUnavailable
from schemas.recommendations import DeadLetter
from schemas.topics import DEAD_LETTERS

_log = structlog.get_logger()
_KEPT_BYTES = 65_536
_REASON_CHARACTERS = 1_000
_RETRY_S = 0.5
_AT_ONCE = 100
_Letter = tuple[bytes, bytes, asyncio.Future[None]]


class DeadLetters:
    """Sends what is submitted until the broker acknowledges it. Run ``run`` beside it.

    A letter's key is the record's place, so that one that is sent again is known.
    """

    def __init__(self, writer: LogWriter, topic: str, generation: str) -> None:
        self._writer = writer
        self._topic = topic
        self._generation = generation
        self._waiting: list[_Letter] = []
        self._arrived = asyncio.Event()
        self.waiting_for: str | None = None

    def submit(
        self, partition: int, records: Sequence[Record], folded: Sequence[Folded]
    ) -> list[asyncio.Future[None]]:
        """Note the dead records of a chunk; the futures end when they are acknowledged."""
        dead = [
            (record, result)
            for record, result in zip(records, folded, strict=True)
            if result.outcome is Outcome.DEAD
        ]
        if not dead:
            return []
        letters = [self._letter(partition, record, result) for record, result in dead]
        # each has its reason in the topic; a line for each would cost more than the letter
        offset, reason = dead[0][0][0], (dead[0][1].reason or "")[:_REASON_CHARACTERS]
        _log.warning("dead letters", partition=partition, letters=len(dead), first=offset, reason=reason)
        self._waiting.extend(letters)
        self._arrived.set()
        return [acknowledged for _, _, acknowledged in letters]

    async def run(self) -> None:
        """Send for as long as the worker lives."""
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            letters, self._waiting = self._waiting, []
            for start in range(0, len(letters), _AT_ONCE):
                await self._send(letters[start : start + _AT_ONCE])

    async def _send(self, letters: Sequence[_Letter]) -> None:
        while True:
            try:
                await self._writer.append(DEAD_LETTERS, [(key, value) for key, value, _ in letters])
            except LogBroken:
                raise  # the next worker has a new producer
            except LogUnavailable as error:
                self.waiting_for = "Kafka"
                _log.warning("dead letters wait for Kafka", letters=len(letters), error=str(error))
                await asyncio.sleep(_RETRY_S)
                continue
            self.waiting_for = None
            for _, _, acknowledged in letters:
                if not acknowledged.done():
                    acknowledged.set_result(None)
            return

    def _letter(self, partition: int, record: Record, folded: Folded) -> _Letter:
        offset, key, value = record
        message = DeadLetter(
            topic=self._topic,
            generation=self._generation,
            partition=partition,
            offset=offset,
            reason=(folded.reason or "")[:_REASON_CHARACTERS],
            key=None if key is None else key[:_KEPT_BYTES],
            value=None if value is None else value[:_KEPT_BYTES],
            server_time_ms=time.time_ns() // 1_000_000,
        )
        place = f"{self._topic}/{partition}/{offset}".encode()
        acknowledged: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        return place, recommendations.encode(message), acknowledged
