"""The worker's fold beside a plain Faust agent that does the same work with one table write per event.

Both sides decode the same plays, keep the same session windows and fold the same histories (50 interactions
on average) with the same functions; archive and ranking are off. The plain agent takes single records from
Faust and writes each history into a Faust table, whose changelog stands in Kafka. ``ratio`` is worker
events/s over the plain agent's; ``equal`` says whether both end with the histories of an independent fold.
"""

import argparse
import asyncio
import statistics
import time
import uuid
from importlib.metadata import version
from typing import Any

import faust

from bench._played_log import append_plays, write_start
from bench._world import own_world
from bench.worker_rate import folded_by_worker
from connections.event_log import LogReader, topic_name
from connections.log_topics import ensure_topics
from recommender.encoding import EMPTY
from recommender.history import apply
from recommender.windows import Outcome, admit
from schemas import events
from schemas.settings import Settings
from schemas.topics import PLAYS

Histories = dict[str, bytes]


def run(arguments: list[str]) -> dict[str, Any]:
    """Measure with a broker and a mongod of its own."""
    parser = argparse.ArgumentParser(prog="python -m bench worker-rate-stock", description=__doc__)
    parser.add_argument("--events", type=int, default=60_000)
    parser.add_argument("--users", type=int, default=20_000)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args(arguments)
    with own_world() as settings:
        return asyncio.run(_measured(settings, options.events, options.users, options.repeats))


async def _measured(settings: Settings, count: int, users: int, repeats: int) -> dict[str, Any]:
    await ensure_topics(settings)
    await append_plays(settings, count, users)
    states, ends = await write_start(settings, users)
    before = {user: data for state in states.values() for user, data in state.histories.items()}
    async with LogReader(settings) as reader:
        for partition, end in ends.items():
            async for records in reader.read(partition, 1, end):
                states[partition].fold(records)
    expected = {user: data for state in states.values() for user, data in state.histories.items()}
    digests = {partition: state.digest() for partition, state in states.items()}
    ours, plain, equal = [], [], True
    for _ in range(repeats):
        rate, found = await _plain(settings, count, before)
        plain.append(rate)
        equal = equal and found == expected
        rate, worker_digests = await folded_by_worker(settings, ends)
        ours.append(rate)
        equal = equal and worker_digests == digests
    ratios = [mine / theirs for mine, theirs in zip(ours, plain, strict=True)]
    return {
        "ratio": round(statistics.median(ratios), 2),
        "low": round(min(ratios), 2),
        "high": round(max(ratios), 2),
        "equal": equal,
        "worker_events_per_s": [round(rate) for rate in ours],
        "plain_events_per_s": [round(rate) for rate in plain],
        "events": count,
        "users": users,
        "versions": {name: version(name) for name in ("segue", "faust-streaming", "aiokafka", "msgspec")},
    }


async def _plain(settings: Settings, count: int, before: Histories) -> tuple[float, Histories]:
    """Return events/s and histories of a plain agent."""
    done = 0
    began = ended = 0.0
    app = faust.App(
        f"plain-{uuid.uuid4().hex}",
        broker=f"kafka://{settings.kafka_address}",
        datadir=str(settings.data_dir / "plain"),
        store="memory://",
        topic_partitions=PLAYS.partitions,
        web_enabled=False,
        consumer_auto_offset_reset="earliest",
        logging_config=None,
    )
    raw: dict[str, Any] = {"key_type": bytes, "value_type": bytes}
    topic = app.topic(
        topic_name(settings, PLAYS), key_serializer="raw", value_serializer="raw", internal=False, **raw
    )
    table: Any = app.Table("histories", partitions=PLAYS.partitions, **raw)
    table.key_serializer = table.value_serializer = "raw"

    @app.agent(topic)
    async def fold(stream: Any) -> None:
        nonlocal done, began, ended
        async for record in stream.events():
            event = events.decode(record.message.value)
            if not isinstance(event, events.Play):
                continue
            began = began or time.perf_counter()
            key = record.message.key
            history = table.get(key) or before.get(key.decode(), EMPTY)
            outcome, history = admit(history, event.session, event.seq, event.client_time_ms)
            if outcome is Outcome.APPLIED:
                table[key] = apply(history, event)
            done += 1
            if done == count:
                ended = time.perf_counter()

    await app.start()
    try:
        while done < count:
            await asyncio.sleep(0.01)
        found = before | {key.decode(): value for key, value in table.items()}
        return (count - 1) / (ended - began), found
    finally:
        await app.stop()
