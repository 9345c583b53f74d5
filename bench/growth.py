"""How the worker grows with its users and their histories: memory, fold rate, restore, parts.

Each case is a log and a worker process of its own, on a real broker. A first process restores the users from
parts and writes them again; then plays are appended, and a second one restores and folds them, without
archive and ranking. ``ratio`` is the restore of the most users, scaled to 100,000, over the goal of 5 s;
``equal`` says that every state has the digest of an independent fold.
"""

import argparse
import asyncio
import json
import os
import shutil
import statistics
import subprocess
import sys
import uuid
from importlib.metadata import version
from typing import Any

from bench._growth_worker import WRITTEN
from bench._played_log import append_plays, commit_start, write_start
from bench._world import own_world
from connections.documents import open_documents
from connections.event_log import LogReader
from connections.log_topics import ensure_topics
from recommender.encoding import History
from schemas.errors import SegueError
from schemas.settings import Settings
from schemas.topics import PLAYS

GOAL_S = 5.0
_GOAL_USERS = 100_000
_USERS, _HISTORIES = (1_000, 10_000, 100_000), (10, 100, 500)
_USUAL_USERS, _USUAL_HISTORY = 10_000, 50


def run(arguments: list[str]) -> dict[str, Any]:
    """Measure each case ``--repeats`` times with a broker and a mongod of its own."""
    parser = argparse.ArgumentParser(prog="python -m bench growth", description=__doc__)
    parser.add_argument("--events", type=int, default=60_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--small", action="store_true", help="two small cases, once: does it work?")
    options = parser.parse_args(arguments)
    cases = [(_USUAL_USERS, length) for length in _HISTORIES] + [(users, _USUAL_HISTORY) for users in _USERS]
    if options.small:
        cases, options.events, options.repeats = [(50, 5), (500, 20)], 2_000, 1
    with own_world() as settings:
        table = [asyncio.run(_case(settings, *case, options.events, options.repeats)) for case in cases]
    most = max(table, key=lambda row: row["users"])
    scale = _GOAL_USERS / most["users"] / GOAL_S
    median, low, high = most["restore_s"]
    return {
        "ratio": round(median * scale, 3),
        "low": round(low * scale, 3),
        "high": round(high * scale, 3),
        "equal": all(row.pop("equal") for row in table),
        "table": table,
        "events": options.events,
        "repeats": options.repeats,
        "versions": {name: version(name) for name in ("segue", "faust-streaming", "pyarrow")},
    }


async def _case(world: Settings, users: int, interactions: int, events: int, repeats: int) -> dict[str, Any]:
    """Return one row of the table: [median, low, high] where something was measured repeatedly."""
    name = f"growth-{users}-{interactions}"
    print(f"growth: {users:,} users with {interactions} interactions", file=sys.stderr, flush=True)
    settings = world.model_copy(
        update={"topic_prefix": f"{name}-", "mongodb_database": name, "data_dir": world.data_dir / name}
    )
    await ensure_topics(settings)
    states, start = await write_start(settings, users, interactions, exact=True)
    histories = [history for state in states.values() for history in state.histories.values()]
    held_bytes = sum(map(len, histories))
    rows = sum(len(History.from_bytes(one).interactions) for one in histories[:1_000])
    per_interaction = sum(map(len, histories[:1_000])) / rows
    expected = {str(p): state.digest() for p, state in states.items()}
    generation = states[0].generation or ""
    idle = [await _worker(settings, start, 0, generation) for _ in range(repeats)]
    equal = all(one["digests"] == expected for one in idle)
    await append_plays(settings, events, users)
    async with LogReader(settings) as reader:
        for partition, end in (await reader.end_offsets()).items():
            async for records in reader.read(partition, 1, end):
                states[partition].fold(records)
    expected = {str(p): state.digest() for p, state in states.items()}
    busy = [await _worker(settings, start, events, generation) for _ in range(repeats)]
    equal = equal and all(one["digests"] == expected for one in busy)
    async with open_documents(settings) as database:
        await database.client.drop_database(name)
    resident = _spread([one["resident_bytes"] for one in idle])
    return {
        "users": users,
        "interactions": interactions,
        "history_bytes_per_interaction": round(per_interaction, 1),
        "history_bytes_per_user": round(held_bytes / users),
        "resident_bytes_per_user": [round(one / users) for one in resident],
        "resident_mib": [round(one / 2**20, 1) for one in resident],
        "events_per_s": [round(one) for one in _spread([one["events_per_s"] for one in busy])],
        "restore_s": _spread([one["restore_s"] for one in (*idle, *busy)]),
        "parts_s": _spread([one["parts_s"] for one in idle]),
        "part_bytes": idle[0]["parts_bytes"] // PLAYS.partitions,
        "equal": equal,
    }


async def _worker(
    settings: Settings, partitions: dict[int, int], events: int, generation: str
) -> dict[str, Any]:
    """Run a worker process that begins at the parts, and return what it measured."""
    shutil.rmtree(settings.data_dir / "snapshots" / generation / WRITTEN, ignore_errors=True)
    group = uuid.uuid4().hex
    await commit_start(settings, group, partitions)
    given = settings.model_dump(mode="json", exclude_defaults=True)
    environment = os.environ | {f"SEGUE_{name.upper()}": str(value) for name, value in given.items()}
    ran = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "bench._growth_worker", group, str(events)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    if ran.returncode:
        raise SegueError(f"the worker ended with code {ran.returncode}: {ran.stderr[-2_000:]}")
    found: dict[str, Any] = json.loads(ran.stdout.splitlines()[-1])
    return found


def _spread(values: list[float]) -> list[float]:
    """Return median, low and high."""
    return [round(one, 3) for one in (statistics.median(values), min(values), max(values))]
