"""`segue demo`: synthetic listeners against the running server, through the public API alone.

``python -m stack.demo`` is the same for the first history of a demo folder.
"""

import argparse
import asyncio
import hashlib
import hmac
import os
import secrets
import sys
import time
import uuid
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import islice, zip_longest
from typing import Any

from rich.console import Console

from schemas.errors import InvalidInput, SegueError
from schemas.settings import Settings
from stack.listeners import Listener, Track, make_events, make_listeners, read_track
from stack.player_api import PlayerApi, reason

_EVENTS_PER_REQUEST = 10
_REQUESTS_AT_ONCE = 16
_LOGINS_AT_ONCE = 4
_SAY_EVERY_S = 5.0


@dataclass(frozen=True, slots=True)
class Demo:
    """What the listeners do.

    Attributes
    ----------
    web : address of the web server
    plays : of all listeners together
    rate : most events a second
    duration_s : seconds after which they stop; None: when all is played
    run : name of their sessions; events of a run that was sent before have no second effect
    """

    web: str
    listeners: int
    plays: int
    rate: float
    seed: int
    duration_s: float | None = None
    run: str = field(default_factory=lambda: uuid.uuid4().hex[:12])


@dataclass(slots=True)
class Summary:
    """What became of it."""

    accepted: int = 0
    seconds: float = 0.0
    listeners: int = 0
    refused: list[str] = field(default_factory=list)


def listen(settings: Settings, demo: Demo, console: Console) -> Summary:
    """Run the listeners to the end and print a summary.

    Raises
    ------
    Unavailable
        The server does not answer, or stays overloaded.
    InvalidInput
        The catalogue is empty, or the server refused an event.
    """
    try:
        summary = asyncio.run(_Listening(demo, _key(settings), console).run())
    except* SegueError as group:  # of several listeners who met the same obstacle
        raise next(iter(_leaves(group))) from None
    console.print(
        f"{summary.listeners} listeners, {summary.accepted:,} events accepted in {summary.seconds:.1f} s "
        f"({summary.accepted / max(summary.seconds, 1e-9):.0f} a second).",
        highlight=False,
    )
    if summary.refused:
        raise InvalidInput(f"{len(summary.refused)} requests were refused, the first: {summary.refused[0]}")
    return summary


class _Listening:
    def __init__(self, demo: Demo, key: bytes, console: Console) -> None:
        self._demo = demo
        self._key = key
        self._console = console
        self._summary = Summary()
        self._tokens: dict[str, str] = {}

    async def run(self) -> Summary:
        self._api = PlayerApi(self._demo.web, connections=_REQUESTS_AT_ONCE)
        try:
            tracks, listeners = await self._enter()
            began = time.monotonic()
            async with _at_once(_REQUESTS_AT_ONCE) as start:
                await self._play(tracks, listeners, began, start)
            self._summary.seconds = time.monotonic() - began
        finally:
            await self._api.close()
        return self._summary

    async def _enter(self) -> tuple[list[Track], list[Listener]]:
        # the first listener looks at the catalogue, which decides on the tastes of all
        first = Listener(f"demo-{self._demo.seed}-000", (), (self._demo.seed, 0))
        await self._log_in(first)
        tracks = [read_track(found) for found in await self._api.tracks(self._tokens[first.name])]
        if not tracks:
            raise InvalidInput(
                "The catalogue is empty: load tracks with `segue etl demo` or `segue etl run`."
            )
        listeners = make_listeners(tracks, self._demo.listeners, self._demo.seed)
        async with _at_once(_LOGINS_AT_ONCE) as start:
            for listener in listeners[1:]:
                await start(self._log_in(listener))
        self._summary.listeners = len(listeners)
        self._say(f"{len(listeners)} listeners, {len(tracks)} tracks")
        return tracks, listeners

    async def _play(self, tracks: list[Track], listeners: list[Listener], began: float, start: Any) -> None:
        demo, sent, said = self._demo, 0, began
        for listener, events in _turns(demo, tracks, listeners):
            due = began + sent / demo.rate
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            now = time.monotonic()
            if demo.duration_s is not None and now - began >= demo.duration_s:
                return
            await start(self._send(listener, events))
            sent += len(events)
            if now - said >= _SAY_EVERY_S:
                said = now
                self._say(f"{self._summary.accepted:,} events accepted")

    async def _log_in(self, listener: Listener) -> None:
        password = hmac.new(self._key, listener.name.encode(), hashlib.sha256).hexdigest()
        self._tokens[listener.name] = await self._api.enter(listener.name, password)

    async def _send(self, listener: Listener, events: list[dict[str, Any]]) -> None:
        status, answer = await self._api.send(self._tokens[listener.name], events)
        if status == 202:
            self._summary.accepted += int(answer["accepted"])
        else:
            self._summary.refused.append(reason(status, answer))

    def _say(self, text: str) -> None:
        self._console.print(text, highlight=False)


def _leaves(group: BaseExceptionGroup[SegueError]) -> Iterator[SegueError]:
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _leaves(error)
        else:
            yield error


def _turns(
    demo: Demo, tracks: Sequence[Track], listeners: Sequence[Listener]
) -> Iterator[tuple[Listener, list[dict[str, Any]]]]:
    """Yield small lots of events, one listener after the other, until all is played."""
    each, rest = divmod(demo.plays, len(listeners))
    streams = [
        _lots(make_events(listener, tracks, each + (index < rest), demo.run))
        for index, listener in enumerate(listeners)
    ]
    for lots in zip_longest(*streams):
        yield from ((listener, lot) for listener, lot in zip(listeners, lots, strict=True) if lot)


def _lots(events: Iterator[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    while lot := list(islice(events, _EVENTS_PER_REQUEST)):
        yield lot


@asynccontextmanager
async def _at_once(limit: int) -> AsyncIterator[Any]:
    """Run what is given to the yielded function, ``limit`` at a time; leave when all is done."""
    room = asyncio.Semaphore(limit)
    async with asyncio.TaskGroup() as group:

        async def start(work: Any) -> None:
            await room.acquire()
            group.create_task(work).add_done_callback(lambda _: room.release())

        yield start


def _key(settings: Settings) -> bytes:
    """Return the key of the listeners' passwords, made once in the data folder."""
    path = settings.data_dir.resolve() / "demo-key"
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_bytes()
    with os.fdopen(descriptor, "wb") as file:
        key = secrets.token_bytes(32)
        file.write(key)
    return key


def main() -> int:
    """Run the listeners of the command line."""
    parser = argparse.ArgumentParser(prog="python -m stack.demo")
    parser.add_argument("--web", required=True)
    parser.add_argument("--listeners", type=int, default=20)
    parser.add_argument("--plays", type=int, default=1000)
    parser.add_argument("--rate", type=float, default=20.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--run", required=True)
    given = parser.parse_args()
    try:
        demo = Demo(given.web, given.listeners, given.plays, given.rate, given.seed, run=given.run)
        listen(Settings(), demo, Console())
    except SegueError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
