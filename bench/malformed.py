"""Plays answered a second while one record in five is no event, against the same load without: fault row F12.

One real worker, 106,574 tracks at rank 64, at saturation: so many users at once (``--at-once``), each of whom
plays again as soon as the list is there. Both loads alternate. Malformed records come beside the plays, in
the 24 ways of ``tests/faults/hostile.py``. ``ratio`` is plays answered a second with them over without.
``equal`` says whether the worker is the same process as at the start, none of its agents crashed, its states
equal an independent fold, each play was reflected by a list, and each malformed record is one dead letter.
"""

import argparse
import asyncio
import statistics
import time
from importlib.metadata import version
from typing import Any

from bench._listener import Listener
from bench._live_load import begin, equals_fold, running_worker, until_answered
from bench._world import own_world
from connections.log_writer import LogWriter
from schemas.settings import Settings
from schemas.topics import DEAD_LETTERS
from tests.worlds import records_of

_SHARE = 0.2
_PATIENCE_S = 60.0


def run(arguments: list[str]) -> dict[str, Any]:
    """Measure with a broker, a mongod and a worker of its own."""
    parser = argparse.ArgumentParser(prog="python -m bench malformed", description=__doc__)
    parser.add_argument("--tracks", type=int, default=106_574)
    parser.add_argument("--users", type=int, default=100_000)
    parser.add_argument("--seconds", type=float, default=10.0, help="length of each load")
    parser.add_argument("--at-once", type=int, default=256, help="users of the load")
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args(arguments)
    with own_world() as settings:
        return asyncio.run(_measured(settings, options))


async def _measured(settings: Settings, options: argparse.Namespace) -> dict[str, Any]:
    load, states = await begin(settings, options.tracks, options.users)
    log = settings.data_dir / "worker.log"
    rates: dict[bool, list[int]] = {False: [], True: []}
    async with running_worker(settings) as worker, LogWriter(settings, timeout_s=60.0) as writer:
        async with Listener(settings, loaded=True) as heard:
            await until_answered(load, writer, heard, log)
            for turn in range(-1, 2 * options.repeats):
                hostile = turn % 4 in (1, 2)  # clean, fuzz, fuzz, clean: neither is always the second
                load.malformed_share = _SHARE if hostile else 0.0
                found = await load.saturate(writer, heard, options.at_once, options.seconds)
                if turn >= 0:  # the first is a warm-up
                    rates[hostile].append(found["answered_per_s"])
            reflected = heard.all_reflected
        letters = await _letters(settings, load.malformed)
        equal = letters == load.malformed and reflected and await equals_fold(settings, states)
        same = worker.returncode is None and "Crashed" not in log.read_text("utf-8", "replace")
    ratios = [with_them / clean for with_them, clean in zip(rates[True], rates[False], strict=True)]
    return {
        "ratio": round(statistics.median(ratios), 3),
        "low": round(min(ratios), 3),
        "high": round(max(ratios), 3),
        "equal": equal and same,
        "clean_per_s": rates[False],
        "malformed_per_s": rates[True],
        "malformed": load.malformed,
        "dead_letters": letters,
        "versions": {name: version(name) for name in ("segue", "faust-streaming", "aiokafka", "numpy")},
    }


async def _letters(settings: Settings, expected: int) -> int:
    """Return how many records have a dead letter, once there are as many as expected."""
    until = time.perf_counter() + _PATIENCE_S
    while True:
        found = len({key for key, _ in await records_of(settings, DEAD_LETTERS)})
        if found >= expected or time.perf_counter() > until:
            return found
        await asyncio.sleep(0.5)
