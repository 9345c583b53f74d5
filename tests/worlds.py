"""What a test of the worker needs: a log, a catalogue, events, and the way to wait for their effect."""

import asyncio
import itertools
import random
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from agents.audit import audit
from connections.documents import Database, ensure_indexes
from connections.event_log import LogReader
from connections.log_topics import ensure_topics
from connections.log_writer import LogWriter
from recommender.model import canonical_arrays, model_digest
from schemas import events
from schemas.documents import CATALOGUE, TRACKS
from schemas.errors import Unavailable
from schemas.recommendations import Recommendations, decode_recommendations
from schemas.settings import Settings
from schemas.topics import RECOMMENDATIONS, Topic
from tests.builders import play, skip, user_id

TRACKS_MADE = 60


async def begin_world(settings: Settings, database: Database) -> str:
    """Make topics, indexes and a catalogue of ``TRACKS_MADE`` tracks by 12 artists; return the generation."""
    generation = await ensure_topics(settings)
    await ensure_indexes(database)
    tracks: list[dict[str, Any]] = [
        {
            "_id": number,
            "title": f"Track {number}",
            "artist": f"Artist {number % 12}",
            "artist_id": number % 12 + 1,
            "genres": ["Odd" if number % 2 else "Even"],
            "source": "test",
            "source_key": str(number),
            "audio": None,
        }
        for number in range(1, TRACKS_MADE + 1)
    ]
    await database[TRACKS.name].insert_many(tracks)
    await database[CATALOGUE.name].insert_one({"_id": "catalogue", "version": "v1", "tracks": len(tracks)})
    return generation


def made_model(
    seed: int, seq: int, generation: str, change: Callable[[dict[str, Any]], None] | None = None
) -> Any:
    """Return (document, arrays) of a model of all tracks as training makes it, after ``change``."""
    random = np.random.default_rng(seed)
    arrays = canonical_arrays(
        np.arange(1, TRACKS_MADE + 1),
        random.standard_normal((TRACKS_MADE, 4)).astype(np.float32),
        np.ones(TRACKS_MADE, bool),
        np.ones(TRACKS_MADE, np.float32),
    )
    if change is not None:
        change(arrays)
    document = {
        "seq": seq, "training_id": f"training-{seed}", "snapshot_id": "snapshot", "generation": generation,
        "rank": 4, "reg_param": 0.1, "alpha": 10.0, "max_iter": 5, "metrics": {}, "created_ms": seq,
    }  # fmt: skip
    document["_id"] = model_digest(arrays, document)
    return document, arrays


def stream(seed: int, users: int, session: str) -> Iterator[tuple[str, events.UserEvent]]:
    """Yield an endless seeded stream of (user id, play or skip), each with its own seq."""
    draw = random.Random(seed)
    for seq in itertools.count():
        now_ms = time.time_ns() // 1_000_000
        make = play if draw.random() < 0.8 else skip
        one = make(
            draw.randint(1, TRACKS_MADE),
            session=session,
            seq=seq,
            client_time_ms=now_ms,
            server_time_ms=now_ms,
        )
        yield user_id(draw.randrange(users) + 1), one


async def send(
    writer: LogWriter, some: Iterator[tuple[str, events.UserEvent]], count: int, per_s: float
) -> int:
    """Append ``count`` events at a rate; return how many were acknowledged."""
    began = time.monotonic()
    for number, (user, one) in enumerate(itertools.islice(some, count)):
        await writer.append_event(user, one)
        await asyncio.sleep(max(0.0, began + (number + 1) / per_s - time.monotonic()))
    return count


async def settled(
    settings: Settings, ports: Sequence[int], ready: Callable[[dict[str, Any]], bool], timeout_s: float = 60.0
) -> dict[str, Any]:
    """Return the first audit that is ``ready``; the last one when none was in time."""
    until = time.monotonic() + timeout_s
    last: dict[str, Any] = {}
    while time.monotonic() < until:
        try:
            last = await audit(settings, ports)
        except Unavailable:
            await asyncio.sleep(0.2)
            continue
        if ready(last):
            return last
        await asyncio.sleep(0.2)
    return last


def worked_off(result: dict[str, Any]) -> bool:
    """Return whether nothing is pending and every user's newest list reflects the last event."""
    return bool(result["pending"] == 0 and result["lists_behind"] == 0)


async def newest_lists(settings: Settings) -> dict[str, Recommendations]:
    """Return each user's list with the greatest offset; of equal ones the last."""
    newest: dict[str, Recommendations] = {}
    for key, value in await records_of(settings, RECOMMENDATIONS):
        assert key is not None
        assert value is not None
        one = decode_recommendations(value)
        held = newest.get(key.decode())
        if held is None or held.offset <= one.offset:
            newest[key.decode()] = one
    return newest


async def records_of(settings: Settings, topic: Topic) -> list[tuple[bytes | None, bytes | None]]:
    """Return (key, value) of every record of a topic."""
    found: list[tuple[bytes | None, bytes | None]] = []
    async with LogReader(settings, topic) as reader:
        for partition, end in (await reader.end_offsets()).items():
            async for some in reader.read(partition, 0, end):
                found.extend((record.key, record.value) for record in some)
    return found
