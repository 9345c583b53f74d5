"""Growth of a training: seconds and peak memory of each step for 100,000 interactions, 1 million, and more.

Synthetic seeded histories of about 50 interactions are written as the parts of a snapshot; then the real
``segue train`` (read, judge on a split, fit on everything, place, publish) and ``segue lists build`` run as
they do in service, on a Kafka and a mongod of their own. ``ratio``: seconds per interaction of the largest
size over those of the smallest, all steps (1: growth in proportion; lower: the start weighs less). ``equal``
says whether every model was published and every user has a list. Memory is the resident memory of Python and
the virtual machine with all their processes, added up, the most in each step; Kafka and mongod are not in it.
"""

import argparse
import asyncio
import hashlib
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from agents.parts import manifest_of, write_part
from bench._plays import synthetic_plays
from bench._steps import Step, run_and_watch
from bench._world import own_world
from connections.documents import ensure_indexes, open_documents
from connections.log_topics import ensure_topics
from connections.python_path import python_path
from connections.snapshot_store import SnapshotStore
from recommender.encoding import INTERACTION, History
from recommender.partition import PartitionState
from recommender.windows import Outcome
from schemas.documents import CATALOGUE, TRACKS
from schemas.errors import InvalidModel
from schemas.settings import Settings
from schemas.topics import PLAYS

_PER_USER = 50
_SNAPSHOT = "bench-0001"
_NOW_S = 1_780_000_000
_DAYS_S = 120 * 86_400
_MOST_ROWS = 500
_AT_ONCE = 10_000


def run(arguments: list[str]) -> dict[str, Any]:
    """Train on each size in turn; return steps with seconds and MiB."""
    parser = argparse.ArgumentParser(prog="python -m bench training-growth", description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[100_000, 1_000_000], help="interactions")
    parser.add_argument("--rank", type=int, default=64)
    parser.add_argument("--max-iter", type=int, default=10)
    parser.add_argument("--memory", default="4g", help="of the Spark driver")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    sizes = []
    for size in options.sizes:
        sizes.append(_trained(size, options))
        print(json.dumps(sizes[-1]), file=sys.stderr, flush=True)  # the next one may take an hour
    per_interaction = [one["seconds"] / one["interactions"] for one in sizes]
    return {
        "ratio": round(per_interaction[-1] / per_interaction[0], 3),
        "low": round(min(per_interaction) / per_interaction[0], 3),
        "high": round(max(per_interaction) / per_interaction[0], 3),
        "equal": all(one["published"] and one["lists"] == one["users"] for one in sizes),
        "sizes": sizes,
        "rank": options.rank,
        "max_iter": options.max_iter,
        "versions": {name: version(name) for name in ("pyspark", "numpy", "pyarrow")},
    }


def _trained(size: int, options: argparse.Namespace) -> dict[str, Any]:
    users, items = max(100, size // _PER_USER), max(500, min(100_000, size // 20))
    with own_world() as settings:
        began = time.monotonic()
        interactions = asyncio.run(_write_world(settings, users, items, size, options.seed))
        written_s = time.monotonic() - began
        environment = _environment(settings, options)
        train = [sys.executable, "-m", "training", "train", "--in-process", "--json"]
        trained = run_and_watch(train, environment, "start of the training")
        if trained.exit_code:
            raise InvalidModel("\n".join(trained.said[-20:]))
        build = [sys.executable, "-m", "training", "lists", "build", "--in-process", "--json"]
        built = run_and_watch(build, environment, "lists for everybody")
        if built.exit_code:
            raise InvalidModel("\n".join(built.said[-20:]))
    lists = Step("lists for everybody", 0.0)
    lists.seconds = sum(step.seconds for step in built.steps)
    lists.peak_mib = max(step.peak_mib for step in built.steps)
    steps = [*trained.steps, lists]
    return {
        "interactions": interactions,
        "users": users,
        "items": items,
        "parts_written_s": round(written_s, 1),
        "seconds": round(sum(step.seconds for step in steps), 1),
        "peak_mib": round(max(step.peak_mib for step in steps)),
        "published": json.loads(trained.out)["state"] == "published",
        "lists": json.loads(built.out)["written"],
        "steps": [
            {"step": step.name, "seconds": round(step.seconds, 1), "peak_mib": round(step.peak_mib)}
            for step in steps
        ],
    }


def _environment(settings: Settings, options: argparse.Namespace) -> dict[str, str]:
    return os.environ | {
        "PYTHONPATH": python_path(),
        "SEGUE_DATA_DIR": str(settings.data_dir),
        "SEGUE_KAFKA_PORT": str(settings.kafka_port),
        "SEGUE_MONGODB_PORT": str(settings.mongodb_port),
        "SEGUE_SPARK_MEMORY": options.memory,
        "SEGUE_RANK": str(options.rank),
        "SEGUE_MAX_ITER": str(options.max_iter),
        "SEGUE_LISTS_BUDGET_S": "36000",
    }


async def _write_world(settings: Settings, users: int, items: int, size: int, seed: int) -> int:
    """Make topics, a catalogue and a complete snapshot; return how many interactions it holds."""
    generation = await ensure_topics(settings)
    async with open_documents(settings) as database:
        await ensure_indexes(database)
        for start in range(1, items + 1, _AT_ONCE):
            tracks = [_track(number) for number in range(start, min(start + _AT_ONCE, items + 1))]
            await database[TRACKS.name].insert_many(tracks)
        state = {"_id": "catalogue", "version": "bench", "tracks": items, "source": "bench", "updated_ms": 0}
        await database[CATALOGUE.name].insert_one(state)
    plays = synthetic_plays(users, items, 4 * size, seed)  # many pairs are drawn more than once
    random = np.random.default_rng([seed, size])
    kept = np.sort(random.permutation(plays.num_rows)[:size])
    columns = [plays[name].to_numpy()[kept] for name in ("user", "item", "rating")]
    _write_snapshot(settings, generation, users, columns, seed)
    return len(kept)


def _track(number: int) -> dict[str, Any]:
    return {
        "_id": number,
        "title": f"Track {number}",
        "artist": f"Artist {number // 7}",
        "artist_id": number // 7 + 1,
        "genres": [],
        "source": "bench",
        "source_key": str(number),
        "audio": None,
    }


def _write_snapshot(
    settings: Settings, generation: str, users: int, columns: list[NDArray[Any]], seed: int
) -> None:
    store, headers = SnapshotStore(settings.snapshot_location), []
    starts = np.searchsorted(columns[0], np.arange(users + 1))  # the plays ascend by user
    ids = [hashlib.blake2b(f"{seed}:{user}".encode(), digest_size=16).hexdigest() for user in range(users)]
    for partition in range(PLAYS.partitions):
        here = range(partition, users, PLAYS.partitions)
        state = PartitionState(
            partition,
            position=1,
            generation=generation,
            histories=dict(_histories(here, ids, starts, columns, seed)),
            counts=Counter({Outcome.APPLIED: int(starts[-1]) if partition == 0 else 0}),
        )
        write_part(store, _SNAPSHOT, state)
        headers.append(store.named_header(generation, _SNAPSHOT, partition))
    store.write_manifest(msgspec.structs.replace(manifest_of(headers), created_ms=1000 * _NOW_S))


def _histories(
    here: Sequence[int], ids: list[str], starts: NDArray[np.int64], columns: list[NDArray[Any]], seed: int
) -> Iterator[tuple[str, bytes]]:
    random = np.random.default_rng([seed, here[0] if here else 0])
    for user in here:
        span = slice(starts[user], min(starts[user + 1], starts[user] + _MOST_ROWS))
        rows = np.zeros(span.stop - span.start, INTERACTION)
        rows["track_id"] = columns[1][span] + 1
        rows["listens"] = np.minimum(columns[2][span], 4_095)
        rows["last_s"] = _NOW_S - random.integers(0, _DAYS_S, len(rows))
        yield ids[user], History.of(rows, last_event_ms=1000 * _NOW_S).data
