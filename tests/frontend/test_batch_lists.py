"""First paint: the newest of what the topic says and of what lies in MongoDB since a training."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from pymongo import MongoClient

from connections.event_log import LogReader
from schemas.documents import LIST_BUILDS, LISTS
from schemas.recommendations import Item, Recommendations, Timings, encode
from schemas.settings import Settings
from tests.frontend.servers import Server, publish

PARTITION = 3  # in which `publish` writes


@pytest.fixture
async def generation(web: Server) -> str:
    async with LogReader(web.settings) as reader:
        return await reader.generation()


def built(settings: Settings, generation: str, offset: int, lists: dict[str, Sequence[int]]) -> None:
    """Leave lists and the note of their build as a run that makes lists does."""
    model_id = "b" * 64
    client: MongoClient[dict[str, Any]] = MongoClient(settings.mongodb_address)
    with client:
        database = client[settings.mongodb_database]
        for user_id, track_ids in lists.items():
            value = encode(
                Recommendations(
                    generation=generation,
                    partition=PARTITION,
                    offset=offset,
                    model_id=model_id,
                    charts_id=None,
                    catalogue_version="v1",
                    ranking_version="r1",
                    cause=None,
                    items=[Item(track_id=track_id, score=0.5) for track_id in track_ids],
                    timings=Timings(accepted_ms=1.0, folded_ms=1.0, ranked_ms=2.0),
                )
            )
            place = {"generation": generation, "partition": PARTITION, "offset": offset, "seq": 7}
            database[LISTS.name].replace_one({"_id": user_id}, place | {"value": value}, upsert=True)
        build = {
            "seq": 7,
            "generation": generation,
            "snapshot_id": "s",
            "offsets": {str(PARTITION): offset},
            "blocks": 1,
            "state": "done",
            "updated_ms": 1,
        }
        database[LIST_BUILDS.name].replace_one({"_id": model_id}, build, upsert=True)


async def shown(user: Any, offset: int | None) -> list[int]:
    """Return the tracks of the first list that reflects ``offset``."""
    found: dict[str, Any] = {}
    for _ in range(150):
        _, found = await user.call("GET", "recommendations")
        if found["offset"] == offset:
            return [item["track_id"] for item in found["items"]]
        await asyncio.sleep(0.1)
    raise AssertionError(f"no list at {offset}: {found['offset']}")


async def test_the_greater_offset_is_shown_wherever_it_lies(
    web: Server, listener: Any, generation: str
) -> None:
    stranger, before, after = [await listener(web) for _ in range(3)]
    ids = [await user.user_id() for user in (stranger, before, after)]
    await publish(web.settings, ids[1], {40: [1]})
    await publish(web.settings, ids[2], {60: [2]})
    assert await shown(before, 40) == [1]
    assert await shown(after, 60) == [2]

    built(web.settings, generation, 50, {user_id: [3, 4] for user_id in ids})

    # nobody wrote a list of the stranger's; the second's is older than the snapshot, the third's newer
    assert await shown(stranger, 50) == [3, 4]
    assert await shown(before, 50) == [3, 4]
    assert await shown(after, 60) == [2]
    stream = before.messages()
    first = await anext(stream)
    assert (first["offset"], first["model_id"], first["latency_ms"]) == (50, "b" * 64, None)
    # what the user does next is newer again
    await publish(web.settings, ids[1], {70: [5]})
    pushed = await anext(stream)
    await stream.aclose()
    assert pushed["offset"] == 70
