"""Senders as the web tier has them: each event is repeated until the log has acknowledged it."""

import asyncio
import random
import time
from collections import Counter
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from connections.steady_writer import SteadyWriter
from schemas import events
from schemas.errors import LogUnavailable
from schemas.settings import Settings
from schemas.topics import PLAYS
from tests.builders import like, play, skip, user_id
from tests.worlds import TRACKS_MADE

_SENDERS = 4


@dataclass
class Acknowledged:
    """Events that the log has acknowledged, the last one of each user, and what it took."""

    accepted: list[tuple[str, events.UserEvent]] = field(default_factory=list)
    last: dict[str, tuple[str, int]] = field(default_factory=dict)
    sent: int = 0
    refusals_s: list[float] = field(default_factory=list)

    def note(self, user: str, event: events.UserEvent) -> None:
        """Note one acknowledgement."""
        self.accepted.append((user, event))
        self.last[user] = (event.session, event.seq)


class Load:
    """A background of plays, skips and likes, from several senders at a time. Ends when the block ends.

    Parameters
    ----------
    users : numbers of the users, whose histories only this load touches
    per_s : events a second, of all senders together
    """

    def __init__(self, settings: Settings, seed: int, users: range, per_s: float) -> None:
        self._settings = settings
        self._seed = seed
        self._users = users
        self._per_s = per_s
        self._ending = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self.acknowledged = Acknowledged()

    async def __aenter__(self) -> Self:
        writer = SteadyWriter(self._settings, timeout_s=self._settings.intake_timeout_s)
        self._writer = await writer.__aenter__()
        self._tasks = [asyncio.create_task(self._send(number)) for number in range(_SENDERS)]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ending.set()
        try:
            if error is None:
                async with asyncio.timeout(120):
                    await asyncio.gather(*self._tasks)
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            await self._writer.__aexit__(kind, error, trace)

    async def _send(self, number: int) -> None:
        draw = random.Random(f"{self._seed}/{number}")
        users = self._users[number::_SENDERS]
        seqs: Counter[int] = Counter()
        began = time.monotonic()
        sent = 0
        while not self._ending.is_set():
            user = draw.choice(users)
            seqs[user] += 1
            make = draw.choices((play, skip, like), (75, 20, 5))[0]
            track = draw.randint(1, TRACKS_MADE)
            await self._until_acknowledged(user_id(user), make, track, f"load-{self._seed}", seqs[user])
            sent += 1
            behind = began + sent * _SENDERS / self._per_s - time.monotonic()
            began = max(began, began - behind - 1.0)  # what an outage held up is not sent in a burst
            await asyncio.sleep(max(0.0, behind))

    async def _until_acknowledged(self, user: str, make: object, track: int, session: str, seq: int) -> None:
        client_ms = time.time_ns() // 1_000_000
        while True:
            now_ms = time.time_ns() // 1_000_000
            event = make(track, session=session, seq=seq, client_time_ms=client_ms, server_time_ms=now_ms)
            self.acknowledged.sent += 1
            tried = time.monotonic()
            try:
                await self._writer.append(PLAYS, [(user.encode(), events.encode(event))])
            except LogUnavailable:
                self.acknowledged.refusals_s.append(time.monotonic() - tried)
                await asyncio.sleep(0.1)
                continue
            return self.acknowledged.note(user, event)
