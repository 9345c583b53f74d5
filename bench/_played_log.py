"""A log of plays by users who have played before: what the benchmarks of the worker start from."""

import random
from collections import Counter
from collections.abc import Iterable

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.partitioner import DefaultPartitioner

from agents.faust_app import group_name
from agents.parts import write_part
from connections.event_log import LogReader, topic_name
from connections.log_writer import LogWriter
from connections.snapshot_store import SnapshotStore
from recommender.encoding import EMPTY
from recommender.history import apply
from recommender.partition import PartitionState
from recommender.windows import Outcome
from schemas import events
from schemas.settings import Settings
from schemas.topics import PLAYS

TRACKS = 5_000
BEFORE = "before"
"""Snapshot from which every run starts: parts cut at offset 1, after the log's first record."""
_BATCH = 2_000
_DISTINCT = 500  # histories, shared by all users: making each one anew would take minutes


def user(number: int) -> str:
    """Return a user id."""
    return f"{number:032x}"


def play(track_id: int, session: str, seq: int, accepted_ms: int | None = None) -> events.Play:
    """Return a play that counts as a listen.

    Parameters
    ----------
    accepted_ms : None for one of old, whose list is due since long
    """
    return events.Play(
        session=session,
        seq=seq,
        client_time_ms=seq,
        server_time_ms=seq if accepted_ms is None else accepted_ms,
        track_id=track_id,
        listened_ms=30_000,
        track_ms=30_000,
        end_reason="finished",
    )


async def append_plays(settings: Settings, count: int, users: int, *, first: int = 0) -> None:
    """Append ``count`` plays, uniform over users and tracks."""
    draw = random.Random(first + 1)
    async with LogWriter(settings) as writer:
        for start in range(first, first + count, _BATCH):
            made = [
                (
                    user(draw.randrange(users)).encode(),
                    events.encode(play(draw.randint(1, TRACKS), "bench", seq)),
                )
                for seq in range(start, min(first + count, start + _BATCH))
            ]
            await writer.append(PLAYS, made)


def past(draw: random.Random, interactions: int, tracks: int = TRACKS, *, exact: bool = False) -> bytes:
    """Return the history of a user who has played so many of the tracks, exactly or on average."""
    history = EMPTY
    few, many = max(1, interactions * 2 // 5), interactions * 8 // 5
    length = interactions if exact else draw.randint(few, many)
    for number, track_id in enumerate(draw.sample(range(1, tracks + 1), length)):
        history = apply(history, play(track_id, "past", number))
    return history


async def write_start(
    settings: Settings,
    users: int,
    interactions: int = 50,
    *,
    tracks: int = TRACKS,
    model_id: str | None = None,
    exact: bool = False,
) -> tuple[dict[int, PartitionState], dict[int, int]]:
    """Write the parts of ``BEFORE`` for all users; return their states and the ends of the log."""
    draw = random.Random(2)
    histories = [past(draw, interactions, tracks, exact=exact) for _ in range(_DISTINCT)]
    store, place = SnapshotStore(settings.snapshot_location), DefaultPartitioner()
    states: dict[int, PartitionState] = {}
    async with LogReader(settings) as reader:
        ends, generation = await reader.end_offsets(), await reader.generation()
        partitions = sorted(ends)
        homes = [place(user(number).encode(), partitions, partitions) for number in range(users)]
        for partition in partitions:
            state = PartitionState(
                partition,
                position=1,
                generation=generation,
                histories={
                    user(number): histories[number % _DISTINCT]
                    for number in range(users)
                    if homes[number] == partition
                },
                counts=Counter({Outcome.CONTROL: 1}),
                model_id=model_id,
                model_seq=0 if model_id is None else 1,
            )
            write_part(store, BEFORE, state)
            states[partition] = state
    return states, ends


async def commit_start(settings: Settings, group: str, partitions: Iterable[int]) -> None:
    """Commit offset 1 for a group of workers, so that the first of them restores from ``BEFORE``."""
    async with LogReader(settings) as reader:
        name = settings.topic_prefix + group_name(group, await reader.generation())
    consumer = AIOKafkaConsumer(
        bootstrap_servers=settings.kafka_address, group_id=name, enable_auto_commit=False
    )
    await consumer.start()
    try:
        where = [TopicPartition(topic_name(settings, PLAYS), partition) for partition in partitions]
        consumer.assign(where)
        await consumer.commit(dict.fromkeys(where, 1))
    finally:
        await consumer.stop()
