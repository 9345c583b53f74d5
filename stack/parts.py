"""The two embedded parts together: what a test session or a development machine needs.

``python -m stack.parts`` runs Kafka and mongod with the given settings until it is told to stop.
"""

import asyncio
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager

from schemas.errors import MissingRequirement, SegueError
from schemas.settings import Settings
from stack.child import Child
from stack.kafka import kafka_answers, prepare_kafka
from stack.mongod import mongod_is_primary, prepare_mongod

START_WITHIN_S = 60.0


@contextmanager
def running_parts(settings: Settings) -> Iterator[list[Child]]:
    """Run Kafka and mongod in ``settings.data_dir`` while the block runs.

    Raises
    ------
    MissingRequirement
        One of them did not become ready.
    """
    with ExitStack() as stack:
        children = []
        for program in (prepare_mongod(settings), prepare_kafka(settings)):
            child = Child(program)
            stack.callback(child.stop)
            children.append(child)
        asyncio.run(_all_ready(settings, children))
        yield children


async def _all_ready(settings: Settings, children: list[Child]) -> None:
    mongod, kafka = children
    await wait_until_ready(mongod, lambda: mongod_is_primary(settings))
    await wait_until_ready(kafka, lambda: kafka_answers(settings))


async def wait_until_ready(
    child: Child, is_ready: Callable[[], Awaitable[bool]], within_s: float = START_WITHIN_S
) -> float:
    """Return the seconds until ``is_ready`` was true.

    Raises
    ------
    MissingRequirement
        The process ended, or was not ready in time; the message holds the end of its log.
    """
    name, began = child.program.name, time.monotonic()
    while not await is_ready():
        code = child.exit_code()
        waited = time.monotonic() - began
        if code is not None or waited > within_s:
            what = f"ended with code {code}" if code is not None else f"was not ready after {waited:.0f} s"
            raise MissingRequirement(
                f"{name} {what}; the end of {child.program.log_file}:\n{child.last_lines()}"
            )
        await asyncio.sleep(0.1)
    return time.monotonic() - began


def main() -> int:
    """Run both until SIGTERM or Ctrl-C."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with running_parts(Settings()) as children:
            for child in children:
                print(f"{child.program.name} is ready, pid {child.pid}", flush=True)
            while all(child.exit_code() is None for child in children):
                time.sleep(0.5)
    except KeyboardInterrupt:
        return 0
    except SegueError as error:
        print(error, file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
