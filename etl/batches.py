"""Blocking generators in a thread: the loop writes what is finished while they work on."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Generator
from typing import Any, Protocol, TypeVar, runtime_checkable

from etl.pool import Outcome

T = TypeVar("T")
LARGEST = 200
LONGEST_S = 2.0


@runtime_checkable
class Interruptible(Protocol):
    """A generator whose wait another thread can end."""

    def interrupt(self) -> None:
        """Let the value that is being waited for be an error."""


async def in_batches(
    outcomes: Generator[Outcome, None, None], seen: Callable[[int], None]
) -> AsyncGenerator[list[Outcome], None]:
    """Yield outcomes as lists of at most ``LARGEST``, none held back for longer than ``LONGEST_S``.

    The generator runs in a thread, and is closed at the end. When the caller is cancelled it is closed
    after the outcome that it is waiting for, or sooner if it has a method ``interrupt``.

    Parameters
    ----------
    seen : called with the number of outcomes that have come in
    """
    loop = asyncio.get_running_loop()
    waiting: list[Outcome] = []
    until = 0.0
    step: asyncio.Future[Outcome | None] = loop.run_in_executor(None, next, outcomes, None)
    try:
        while True:
            await asyncio.wait({step}, timeout=max(0.0, until - loop.time()) if waiting else None)
            ended = False
            if step.done():
                outcome = step.result()
                ended = outcome is None
                if outcome is not None:
                    seen(1)
                    until = until if waiting else loop.time() + LONGEST_S
                    waiting.append(outcome)
                    # goes on while the caller writes
                    step = loop.run_in_executor(None, next, outcomes, None)
            if waiting and (ended or len(waiting) >= LARGEST or loop.time() >= until):
                yield waiting
                waiting = []
            if ended:
                return
    finally:
        if isinstance(outcomes, Interruptible):
            outcomes.interrupt()
        await _end(step)
        outcomes.close()


async def ahead(values: Generator[T, None, None]) -> AsyncGenerator[T, None]:
    """Yield what a generator yields; it works on the next value while the caller has this one."""
    loop = asyncio.get_running_loop()
    step: asyncio.Future[T | None] = loop.run_in_executor(None, next, values, None)
    try:
        while (value := await asyncio.shield(step)) is not None:
            step = loop.run_in_executor(None, next, values, None)
            yield value
    finally:
        await _end(step)
        values.close()


async def _end(step: "asyncio.Future[Any]") -> None:
    """Wait until the generator rests: one that runs cannot be closed."""
    while not step.done():
        try:
            await asyncio.wait({step})
        except asyncio.CancelledError:
            pass  # asked again: it still cannot be closed
    if not step.cancelled():
        step.exception()  # it says nothing that the caller could use any more
