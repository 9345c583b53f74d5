"""Lists on their way to the broker: the newest of each user, until it is acknowledged."""

import asyncio

import structlog

from connections.log_writer import LogWriter
from schemas.errors import LogBroken, LogUnavailable
from schemas.topics import RECOMMENDATIONS

_log = structlog.get_logger()
_RETRY_S = 0.5


class Outbox:
    """Sends lists; the newest of a user replaces one that is not yet sent. Run ``run`` beside it.

    Attributes
    ----------
    sent : lists acknowledged since the start
    waiting_for : name of what is away and waited for, None while nothing is
    """

    def __init__(self, writer: LogWriter) -> None:
        self._writer = writer
        self._messages: dict[str, tuple[int, bytes]] = {}
        self._waiting: list[asyncio.Future[None]] = []
        self._arrived = asyncio.Event()
        self.sent = 0
        self.waiting_for: str | None = None

    def put(self, user_id: str, offset: int, message: bytes) -> None:
        """Have a list sent in the place of an older one of this user; an older one is left out itself."""
        waiting = self._messages.get(user_id)
        if waiting is None or waiting[0] <= offset:
            self._messages[user_id] = offset, message

    def settle_when_sent(self, acknowledged: asyncio.Future[None]) -> None:
        """Settle a future when all that was put so far is acknowledged."""
        self._waiting.append(acknowledged)
        self._arrived.set()

    async def run(self) -> None:
        """Send for as long as the worker lives; a broker that is away is waited for."""
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            while self._messages or self._waiting:
                waiting, self._waiting = self._waiting, []
                await self._send_all()
                for acknowledged in waiting:
                    if not acknowledged.done():
                        acknowledged.set_result(None)

    async def _send_all(self) -> None:
        """Send what is there now, until it is acknowledged."""
        batch, self._messages = self._messages, {}
        while batch:
            try:
                await self._writer.append(
                    RECOMMENDATIONS, [(user_id.encode(), value) for user_id, (_, value) in batch.items()]
                )
            except LogBroken:
                raise  # the next worker has a new producer
            except LogUnavailable as error:
                self.waiting_for = "Kafka"
                _log.warning("lists wait for Kafka", lists=len(batch), error=str(error))
                await asyncio.sleep(_RETRY_S)
                meanwhile, self._messages = self._messages, batch
                for user_id, (offset, value) in meanwhile.items():
                    self.put(user_id, offset, value)
                batch, self._messages = self._messages, {}
            else:
                self.sent += len(batch)
                self.waiting_for = None
                return
