"""The worker's fold without ranking against a bare aiokafka loop that does nothing, on the same topic.

Both sides read the same plays from the same real broker, alternating. The worker decodes, keeps session
windows and folds histories that hold 50 interactions on average; archive and ranking are off. Every run
begins with a restore from the same parts. ``equal`` says whether its states have the digests of an
independent fold.
``ratio`` is worker events/s over bare events/s.
"""

import argparse
import asyncio
import json
import statistics
import time
import uuid
from importlib.metadata import version
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

from agents.app import Worker
from agents.opening import open_worker
from bench._played_log import append_plays, commit_start, write_start
from bench._world import own_world
from connections.event_log import LogReader, topic_name
from connections.log_topics import ensure_topics
from schemas.settings import Settings
from schemas.topics import PLAYS


def run(arguments: list[str]) -> dict[str, Any]:
    """Measure with a broker and a mongod of its own."""
    parser = argparse.ArgumentParser(prog="python -m bench worker-rate", description=__doc__)
    parser.add_argument("--events", type=int, default=200_000)
    parser.add_argument("--users", type=int, default=20_000)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args(arguments)
    with own_world() as settings:
        return asyncio.run(_measured(settings, options.events, options.users, options.repeats))


async def _measured(settings: Settings, count: int, users: int, repeats: int) -> dict[str, Any]:
    await ensure_topics(settings)
    await append_plays(settings, count, users)
    expected, ends = await expected_digests(settings, users)
    bare: list[float] = []
    ours: list[float] = []
    equal = True
    for _ in range(repeats):
        bare.append(await _bare(settings, ends))
        rate, digests = await folded_by_worker(settings, ends)
        ours.append(rate)
        equal = equal and digests == expected
    ratios = [mine / theirs for mine, theirs in zip(ours, bare, strict=True)]
    return {
        "ratio": round(statistics.median(ratios), 4),
        "low": round(min(ratios), 4),
        "high": round(max(ratios), 4),
        "equal": equal,
        "worker_events_per_s": [round(rate) for rate in ours],
        "bare_events_per_s": [round(rate) for rate in bare],
        "events": count,
        "users": users,
        "versions": {name: version(name) for name in ("segue", "faust-streaming", "aiokafka", "msgspec")},
    }


async def expected_digests(settings: Settings, users: int) -> tuple[dict[int, str], dict[int, int]]:
    """Return the digests of an independent fold, and the ends of the log."""
    states, ends = await write_start(settings, users)
    async with LogReader(settings) as reader:
        for partition, end in ends.items():
            async for records in reader.read_tuples(partition, 1, end):
                states[partition].fold(records)
    return {partition: state.digest() for partition, state in states.items()}, ends


async def _bare(settings: Settings, ends: dict[int, int]) -> float:
    name = topic_name(settings, PLAYS)
    consumer = AIOKafkaConsumer(
        bootstrap_servers=settings.kafka_address, group_id=None, auto_offset_reset="earliest"
    )
    await consumer.start()
    try:
        consumer.assign([TopicPartition(name, partition) for partition in ends])
        await consumer.seek_to_beginning()
        left, began = sum(ends.values()), 0.0
        async for _ in consumer:
            began = began or time.perf_counter()
            left -= 1
            if not left:
                break
        return sum(ends.values()) / (time.perf_counter() - began)
    finally:
        await consumer.stop()


async def folded_by_worker(settings: Settings, ends: dict[int, int]) -> tuple[float, dict[int, str]]:
    """Return events/s of a worker that starts from the parts of ``BEFORE``, and the digests it ends with."""
    group = uuid.uuid4().hex
    await commit_start(settings, group, ends)
    async with open_worker(settings, ranked=False, archived=False, group=group) as worker:
        work = asyncio.create_task(worker.run())
        began, first = 0.0, 0
        try:
            while _folded(worker) < sum(ends.values()):
                await asyncio.sleep(0.002)
                if not began and _folded(worker) > len(ends):
                    began, first = time.perf_counter(), _folded(worker)
                if work.done():
                    work.result()
            rate = (sum(ends.values()) - first) / (time.perf_counter() - began)
            return rate, {p: state.digest() for p, state in worker.partitions.states.items()}
        finally:
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)


def _folded(worker: Worker) -> int:
    return sum(state.position for state in worker.partitions.states.values())


if __name__ == "__main__":
    print(json.dumps(run([])))
