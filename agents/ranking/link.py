"""The worker's end of one ranking process: orders go there, answers come back."""

import asyncio
import itertools
import socket
from types import TracebackType
from typing import Any, Self, TypeVar

from agents.ranking import frames
from agents.ranking.program import RankingProgram
from schemas.errors import InvalidModel, ModelNotHeld, RankingEnded

_READ_BYTES = 1_048_576
_FULL_S = 0.001
T = TypeVar("T")


class Link:
    """Talks to one ranking process. Use as an async context manager.

    What is asked for is done in that order. When the process dies, everything that waits for it fails, and
    so does ``ended``.

    Attributes
    ----------
    ended : ends with ``RankingEnded`` when the process is gone
    under_way : lists that were asked for and have not come
    models_alive : models in the process's memory, as it said last
    """

    ended: asyncio.Task[None]

    def __init__(self, program: RankingProgram) -> None:
        self.pid = program.process.pid
        self._connection = program.connection
        self._saying = asyncio.Lock()
        self._numbers = itertools.count()
        self._ranking: dict[int, asyncio.Future[frames.Ranked | frames.Unranked]] = {}
        self._holding: dict[str, asyncio.Future[None]] = {}
        self._keeping: list[asyncio.Future[None]] = []
        self.under_way = 0
        self.models_alive = 0

    async def __aenter__(self) -> Self:
        self._connection.setblocking(False)
        self.ended = asyncio.create_task(self._listen())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.ended.cancel()
        await asyncio.gather(self.ended, return_exceptions=True)

    async def hold(self, order: frames.Hold, descriptor: int) -> None:
        """Give the process a model; returns when it is ready there."""
        ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._holding[order.shared.model_id] = ready
        await self.say(order, descriptor)
        await self._answered(ready)

    async def keep(self, order: frames.Keep) -> None:
        """Have the process let go of all other models; returns when it has."""
        ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._keeping.append(ready)
        await self.say(order)
        await self._answered(ready)

    async def rank(self, model_id: str | None, asked: list[frames.Asked], *, brief: bool) -> frames.Ranked:
        """Return the messages asked for; see ``Ranker.rank``."""
        number = next(self._numbers)
        ready = self._ranking[number] = asyncio.get_running_loop().create_future()
        self.under_way += len(asked)
        try:
            await self.say(frames.Rank(number, model_id, brief, asked))
            answer: frames.Ranked | frames.Unranked = await self._answered(ready)
        finally:
            self.under_way -= len(asked)
        if isinstance(answer, frames.Unranked):
            # not by the future: it and its error would keep each other, and the refused model with them,
            # until the next collection of cycles
            raise (InvalidModel if answer.corrupt else ModelNotHeld)(answer.text)
        return answer

    async def say(self, order: frames.Order, descriptor: int | None = None) -> None:
        """Send an order."""
        data = frames.encode(order)
        loop = asyncio.get_running_loop()
        async with self._saying:
            try:
                if descriptor is not None:
                    data = data[await self._send_with(data, descriptor) :]
                await loop.sock_sendall(self._connection, data)
            except (BrokenPipeError, ConnectionResetError):
                pass  # ``ended`` says so

    async def _answered(self, ready: "asyncio.Future[T]") -> T:
        """Return the answer; raise when the process ends before."""
        either: set[asyncio.Future[Any]] = {ready, self.ended}
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if not ready.done():
            ready.cancel()
            self.ended.result()
        return ready.result()

    async def _send_with(self, data: bytes, descriptor: int) -> int:
        """Send some of the bytes, and the descriptor with the first; return how many went."""
        while True:
            try:
                return socket.send_fds(self._connection, [data], [descriptor])
            except BlockingIOError:
                await asyncio.sleep(_FULL_S)

    async def _listen(self) -> None:
        """Hand on the answers; raise when the process is gone."""
        decoder, loop = frames.Decoder(), asyncio.get_running_loop()
        while True:
            try:
                data = await loop.sock_recv(self._connection, _READ_BYTES)
            except ConnectionResetError:
                data = b""
            if not data:
                raise RankingEnded(f"the ranking process {self.pid} has ended: the worker cannot go on")
            for answer in decoder.frames(data):
                self._hear(answer)

    def _hear(self, answer: frames.Order | frames.Answer) -> None:
        match answer:
            case frames.Ranked() | frames.Unranked():
                _settle(self._ranking.pop(answer.number), answer)
            case frames.Held():
                self.models_alive = answer.alive
                _settle(self._holding.pop(answer.model_id), None)
            case frames.Kept():
                self.models_alive = answer.alive
                _settle(self._keeping.pop(0), None)
            case frames.Failed():
                raise RankingEnded(f"the ranking process {self.pid} failed:\n{answer.text}")
            case _:
                raise AssertionError(f"not an answer: {answer!r}")


def _settle(waiting: "asyncio.Future[T]", result: T) -> None:
    if not waiting.done():
        waiting.set_result(result)
