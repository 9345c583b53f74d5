"""The worker's end of its ranking process: models and surroundings go there, messages come back."""

import asyncio
import itertools
import os
import socket
import subprocess
import sys
from collections.abc import Iterable
from types import TracebackType
from typing import Any, Self, TypeVar

from agents.ranking import frames
from agents.ranking.shared_model import mapped, share
from recommender.catalogue import Catalogue, Charts
from recommender.model import Model
from recommender.ranking_config import RankingConfig
from schemas.errors import InvalidModel, ModelNotHeld, RankingEnded

_READ_BYTES = 1_048_576
_STOP_S = 5.0
_FULL_S = 0.001
T = TypeVar("T")


class RankingProgram:
    """The running process. Use as a context manager: at the end it is closed.

    A spare starts it long before there is a worker.
    """

    def __init__(self) -> None:
        ours, its = socket.socketpair()
        with its:
            command = [sys.executable, "-m", "agents.ranking.process", str(its.fileno())]
            # one solve is too small for two threads, which would only wait for each other
            environment = {"OPENBLAS_NUM_THREADS": "1"} | os.environ
            self.process = subprocess.Popen(
                command, env=environment, stdin=subprocess.DEVNULL, pass_fds=[its.fileno()]
            )
        self.connection = ours

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connection, at which the process ends, and wait for that."""
        self.connection.close()
        try:
            self.process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Ranker:
    """Has lists ranked by a process of its own. Use as an async context manager.

    What is asked for is done in that order. When the process dies, everything that waits for it fails, and
    so does ``run``: the worker has to end.

    Attributes
    ----------
    models_alive : models in the process's memory, as it said last
    """

    def __init__(self, program: RankingProgram, config: RankingConfig, generation: str) -> None:
        self._program = program
        self._connection = program.connection
        self._begin = frames.Begin(config, generation)
        self._saying = asyncio.Lock()
        self._numbers = itertools.count()
        self._ranking: dict[int, asyncio.Future[frames.Ranked | frames.Unranked]] = {}
        self._holding: dict[str, asyncio.Future[None]] = {}
        self._keeping: list[asyncio.Future[None]] = []
        self._catalogue: Catalogue | None = None
        self._charts: Charts | None = None
        self.models_alive = 0

    async def __aenter__(self) -> Self:
        self._connection.setblocking(False)
        self._ended = asyncio.create_task(self._listen())
        await self._say(self._begin)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.cancel()
        await asyncio.gather(self._ended, return_exceptions=True)

    async def run(self) -> None:
        """Return never; raise ``RankingEnded`` when the process is gone."""
        await asyncio.shield(self._ended)

    @property
    def pid(self) -> int:
        """Process id."""
        return self._program.process.pid

    async def surround(self, catalogue: Catalogue, charts: Charts) -> None:
        """Rank with this catalogue and these charts from now on."""
        new = frames.Surround(
            None if catalogue is self._catalogue else catalogue, None if charts is self._charts else charts
        )
        self._catalogue, self._charts = catalogue, charts
        if new != (None, None):
            await self._say(new)

    async def hold(self, model: Model) -> Model:
        """Give the process a model; return the same over memory that both see, when it is ready there."""
        shared, descriptor = await asyncio.to_thread(share, model)
        try:
            held = mapped(shared, descriptor)
            ready = self._holding[model.model_id] = asyncio.get_running_loop().create_future()
            await self._say(frames.Hold(shared), descriptor)
            await self._answered(ready)
        finally:
            os.close(descriptor)
        return held

    async def keep(self, model_ids: Iterable[str]) -> None:
        """Have the process let go of all other models; returns when it has."""
        ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._keeping.append(ready)
        await self._say(frames.Keep(frozenset(model_ids)))
        await self._answered(ready)

    async def rank(self, model_id: str | None, asked: list[frames.Asked], *, brief: bool) -> frames.Ranked:
        """Return the messages asked for.

        Raises
        ------
        InvalidModel
            The model's equations cannot be solved.
        ModelNotHeld
            The process has let go of the model.
        RankingEnded
            The process is gone.
        """
        number = next(self._numbers)
        ready = self._ranking[number] = asyncio.get_running_loop().create_future()
        await self._say(frames.Rank(number, model_id, brief, asked))
        answer: frames.Ranked | frames.Unranked = await self._answered(ready)
        if isinstance(answer, frames.Unranked):
            # not by the future: it and its error would keep each other, and the refused model with them,
            # until the next collection of cycles
            raise (InvalidModel if answer.corrupt else ModelNotHeld)(answer.text)
        return answer

    async def _answered(self, ready: "asyncio.Future[T]") -> T:
        """Return the answer; raise when the process ends before."""
        either: set[asyncio.Future[Any]] = {ready, self._ended}
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if not ready.done():
            ready.cancel()
            self._ended.result()
        return ready.result()

    async def _say(self, order: frames.Order, descriptor: int | None = None) -> None:
        data = frames.encode(order)
        loop = asyncio.get_running_loop()
        async with self._saying:
            try:
                if descriptor is not None:
                    data = data[await self._send_with(data, descriptor) :]
                await loop.sock_sendall(self._connection, data)
            except (BrokenPipeError, ConnectionResetError):
                pass  # ``run`` says so

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
