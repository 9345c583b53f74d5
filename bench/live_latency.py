"""Play in the log -> list in the topic: one worker, 106,574 tracks at rank 64, plays over 100,000 users.

Loads on one real worker process: 100 plays/s, one every 10 ms, for the latency, beside it the bare round trip
of the same records (appended -> heard by a consumer of their topic); as many plays as asked for (``--rate``),
whatever becomes of them; and saturation: so many users at once (``--at-once``), each of whom plays again as
soon as the list is there. ``ratio`` is the 99th percentile of play appended to list received at 100/s over
that of the bare round trip in the same repeat (lower is better); ``list_ms`` begins where the play is
accepted. ``equal`` says whether the worker's states equal an independent fold, and every play was reflected
by a list.
"""

import argparse
import asyncio
import statistics
from importlib.metadata import version
from typing import Any

from bench._listener import Listener
from bench._live_load import begin, equals_fold, running_worker, until_answered
from bench._world import own_world
from connections.log_writer import LogWriter
from schemas.settings import Settings


def run(arguments: list[str]) -> dict[str, Any]:
    """Measure with a broker, a mongod and a worker of its own."""
    parser = argparse.ArgumentParser(prog="python -m bench live-latency", description=__doc__)
    parser.add_argument("--tracks", type=int, default=106_574)
    parser.add_argument("--users", type=int, default=100_000)
    parser.add_argument("--rate", type=int, default=2_000, help="plays/s of the second load")
    parser.add_argument("--seconds", type=float, default=15.0, help="length of each load")
    parser.add_argument("--at-once", type=int, default=256, help="users of the load at saturation")
    parser.add_argument("--warm-up", type=float, default=20.0, help="seconds at the rate before it counts")
    parser.add_argument("--repeats", type=int, default=5, help="repeats of the load of 100/s")
    options = parser.parse_args(arguments)
    with own_world() as settings:
        return asyncio.run(_measured(settings, options))


async def _measured(settings: Settings, options: argparse.Namespace) -> dict[str, Any]:
    load, states = await begin(settings, options.tracks, options.users)
    async with running_worker(settings), LogWriter(settings, timeout_s=60.0) as writer:
        async with Listener(settings) as heard:
            await until_answered(load, writer, heard, settings.data_dir / "worker.log")
            quiet = [await load.run(writer, heard, 100, options.seconds) for _ in range(options.repeats)]
            reflected = heard.all_reflected
        async with Listener(settings, loaded=True) as heard:
            await load.run(writer, heard, options.rate, options.warm_up)
            full = await load.run(writer, heard, options.rate, options.seconds)
            saturated = await load.saturate(writer, heard, options.at_once, options.seconds)
            reflected = reflected and heard.all_reflected
        equal = reflected and await equals_fold(settings, states)
    ratios = [one["trip_ms"]["p99"] / one["bare_ms"]["p99"] for one in quiet]
    return {
        "ratio": round(statistics.median(ratios), 2),
        "low": round(min(ratios), 2),
        "high": round(max(ratios), 2),
        "equal": equal,
        "at_100": quiet,
        "at_rate": full,
        "saturated": saturated,
        "tracks": options.tracks,
        "users": options.users,
        "versions": {name: version(name) for name in ("segue", "faust-streaming", "aiokafka", "numpy")},
    }
