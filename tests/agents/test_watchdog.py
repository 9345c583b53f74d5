"""The watchdog: what counts as a standstill, and that a real worker which stands still ends itself."""

import asyncio
import os
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.watchdog import EXIT_STALLED, Observation, Standstill, Watchdog
from connections.documents import open_documents
from connections.log_topics import ensure_topics
from connections.log_writer import LogWriter
from schemas.settings import Settings
from tests.programs import environment
from tests.worlds import begin_world, send, stream


def seen(
    *, end: int = 100, position: int | None = 100, committed: int | None = 100, restored: int = 0,
    made_anew: int = 0, waiting_for: str | None = None,
) -> Observation:  # fmt: skip
    positions = {} if position is None else {3: position}
    done = {} if committed is None else {3: committed}
    return Observation({3: end}, positions, done, restored, made_anew, waiting_for)


@pytest.mark.parametrize(
    ("observation", "what"),
    [
        (seen(end=150), "fold has stood still at 100"),
        (seen(committed=40), "commit has stood still at 40"),
        (seen(position=None, restored=7), "restore has stood still at 7"),
        (seen(position=None, committed=None), "delivery has stood still at 0"),
    ],
)
def test_what_does_not_move_for_the_limit_is_named(observation: Observation, what: str) -> None:
    standstill = Standstill(limit_s=60.0, delivery_limit_s=60.0)

    assert standstill.look(0.0, observation) is None
    assert standstill.look(59.9, observation) is None
    reason = standstill.look(60.0, observation)

    assert reason is not None
    assert what in reason
    assert "partition 3" in reason


def test_a_delivery_may_wait_for_a_rebalance() -> None:
    standstill = Standstill(limit_s=60.0, delivery_limit_s=130.0)
    undelivered = seen(position=None, committed=None)

    assert [standstill.look(now, undelivered) for now in (0.0, 60.0, 129.0)] == [None] * 3
    assert "delivery has stood still at 0 for 130 s" in str(standstill.look(130.0, undelivered))


def test_a_commit_that_waits_while_lists_are_made_anew_is_no_standstill() -> None:
    standstill = Standstill(limit_s=60.0, delivery_limit_s=60.0)

    made = [standstill.look(50.0 * turn, seen(committed=40, made_anew=turn)) for turn in range(4)]
    assert made == [None] * 4
    assert standstill.look(209.0, seen(committed=40, made_anew=3)) is None
    assert "commit has stood still at 40" in str(standstill.look(210.0, seen(committed=40, made_anew=3)))


def test_a_worker_that_has_nothing_to_do_is_left_alone() -> None:
    standstill = Standstill(limit_s=60.0, delivery_limit_s=60.0)

    assert [standstill.look(now, seen()) for now in (0.0, 100.0, 1_000.0)] == [None] * 3


def test_an_outage_is_no_standstill_and_the_time_begins_anew_after_it() -> None:
    standstill = Standstill(limit_s=60.0, delivery_limit_s=60.0)

    assert standstill.look(0.0, seen(end=150)) is None
    assert standstill.look(70.0, seen(end=150, waiting_for="MongoDB")) is None
    assert standstill.look(80.0, seen(end=150)) is None
    assert standstill.look(139.0, seen(end=150)) is None
    assert standstill.look(140.0, seen(end=150)) is not None


@given(st.lists(st.floats(0.1, 59.0), max_size=50))
def test_whatever_moves_in_time_is_never_named(steps: list[float]) -> None:
    standstill, now = Standstill(limit_s=60.0, delivery_limit_s=60.0), 0.0
    for number, step in enumerate(steps):
        now += step
        assert standstill.look(now, seen(end=10_000, position=number + 1, committed=number)) is None


_DRIVER = """
import asyncio, sys, time
from agents import __main__ as program, app
from schemas.settings import Settings

async def never(self, *_):
    await asyncio.Event().wait()

async def blocked(self, *_):
    time.sleep(600)

app.Worker._fold = {"stuck": never, "blocked": blocked}[sys.argv[1]]
sys.argv[1:] = ["worker"]
program.cli()
"""


async def test_a_watchdog_that_has_ended_ends_nobody(settings: Settings) -> None:
    """Its process may go on, with another worker or none: the thread that ends processes ends with it."""

    def watching() -> list[threading.Thread]:
        return [thread for thread in threading.enumerate() if thread.name == "watchdog"]

    others = watching()
    looked = asyncio.Event()

    def observe(_: Mapping[int, int]) -> Observation:
        looked.set()
        return seen()

    await ensure_topics(settings)
    watch = asyncio.create_task(Watchdog(settings.model_copy(update={"watchdog_s": 10.0}), observe).run())
    async with asyncio.timeout(60):
        await looked.wait()
        assert len(watching()) == len(others) + 1
        watch.cancel()
        await asyncio.gather(watch, return_exceptions=True)
        while len(watching()) > len(others):
            await asyncio.sleep(0.02)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("how", "sentence"),
    [("stuck", "has stood still"), ("blocked", "the event loop has not turned")],
)
async def test_a_worker_that_stands_still_ends_with_a_code_of_its_own(
    settings: Settings, tmp_path: Path, how: str, sentence: str
) -> None:
    async with open_documents(settings) as database:
        await begin_world(settings, database)
        async with LogWriter(settings) as writer:
            await send(writer, stream(1, 20, "s"), 40, per_s=1_000)
        driver = tmp_path / "driver.py"
        driver.write_text(_DRIVER)
        child = settings.model_copy(update={"watchdog_s": 3.0})
        began = time.monotonic()
        ran = await asyncio.to_thread(
            subprocess.run,
            [sys.executable, str(driver), how],
            env=environment(child) | {"PYTHONPATH": os.getcwd()},
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )
        await database.client.drop_database(settings.mongodb_database)

    assert ran.returncode == EXIT_STALLED, ran.stderr[-2_000:]
    assert sentence in ran.stderr
    assert time.monotonic() - began >= 3.0
