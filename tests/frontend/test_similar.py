"""Tracks like another: by sound before there is a model, then by its factors."""

import asyncio
import time
from typing import Any

import numpy as np
from pymongo import MongoClient

from connections.documents import Database, open_documents
from connections.feature_store import Standardisation
from connections.model_store import move_pointer, save_model
from recommender.model import canonical_arrays, model_digest
from schemas.documents import FEATURES, MODEL_CHUNKS, SCALERS, TRACKS
from tests.frontend.servers import Listener, Server

# where the tracks of the test world stand: 1 and 2 sound alike, 1 and 3 are heard together; 90 is in no model
SOUNDS = {1: (5.0, 0.0), 2: (4.0, 0.1), 3: (0.0, 3.0), 90: (0.0, -2.0)}
FACTORS = {1: (1.0, 0.0), 2: (0.0, 1.0), 3: (0.9, 0.1), 4: (0.5, 0.5), 5: (-1.0, 0.0), 6: (0.8, 0.2)}
BY_SOUND = {6}


async def load_sounds(database: Database) -> None:
    scaler = Standardisation.named("v1", 1, len(SOUNDS), np.zeros(2), np.ones(2))
    await database[SCALERS.name].insert_one(
        {
            "_id": scaler.scaler_id, "version": "v1", "revision": 1, "count": len(SOUNDS),
            "mean": [0.0, 0.0], "scale": [1.0, 1.0], "created_ms": 1,
        }
    )  # fmt: skip
    await database[FEATURES.name].insert_many(
        [{"_id": track_id, "version": "v1", "raw": list(sound)} for track_id, sound in SOUNDS.items()]
    )


async def publish(database: Database, seq: int, change: float = 0.0, *, damaged: bool = False) -> str:
    """Publish a model of the test world and point to it."""
    fitted = np.array([track_id not in BY_SOUND for track_id in FACTORS])
    factors = np.array(list(FACTORS.values())) + change
    arrays = canonical_arrays(np.array(list(FACTORS)), factors, fitted, np.ones(len(FACTORS)))
    document: dict[str, Any] = {
        "seq": seq, "training_id": "t", "snapshot_id": "s", "generation": "g", "rank": 2,
        "reg_param": 0.1, "alpha": 10.0, "max_iter": 5, "metrics": {}, "created_ms": 1,
    }  # fmt: skip
    document["_id"] = model_digest(arrays, document)
    await save_model(database, document, arrays)
    if damaged:
        await database[MODEL_CHUNKS.name].delete_one({"_id": f"{document['_id']}:popularity:0"})
    assert await move_pointer(database, document["_id"], seq)
    return str(document["_id"])


async def answered_by(visitor: Listener, model_id: str) -> dict[str, Any]:
    """Return what track 1 is like once this model answers."""
    until = time.monotonic() + 20
    while time.monotonic() < until:
        _, found = await visitor.call("GET", "tracks/1/similar")
        if found["model_id"] == model_id:
            return dict(found)
        await asyncio.sleep(0.1)
    raise AssertionError("the model did not come in time")


async def test_similar_tracks_follow_the_served_model(web: Server, visitor: Listener) -> None:
    empty = await visitor.call("GET", "tracks/1/similar")
    async with open_documents(web.settings) as database:
        await load_sounds(database)
        await _new_version(web, "v2")
        by_sound = await _until_found(visitor, 1)
        first = await publish(database, 1)
        by_factors = await answered_by(visitor, first)
        placed = (await visitor.call("GET", "tracks/6/similar"))[1]
        unknown_to_the_model = (await visitor.call("GET", "tracks/90/similar"))[1]
        limited = (await visitor.call("GET", "tracks/1/similar?limit=1"))[1]
        second = await publish(database, 2, change=0.05)
        await answered_by(visitor, second)
        # one that is damaged leaves the one before it in service
        await publish(database, 3, change=0.1, damaged=True)
        while "model refused" not in web.log.read_text():
            after = (await visitor.call("GET", "tracks/1/similar"))[1]

    assert empty == (200, {"track_id": 1, "model_id": None, "items": []})
    assert [(item["track_id"], item["reasons"][0]["kind"]) for item in by_sound["items"]] == [
        (2, "audio"), (3, "audio"), (90, "audio"),
    ]  # fmt: skip
    assert [item["track_id"] for item in by_factors["items"]] == [3, 4, 2, 5]
    assert by_factors["items"][0]["score"] == 0.993884
    assert by_factors["items"][0]["title"] == "Åska"
    reason = by_factors["items"][0]["reasons"][0]
    assert (reason["kind"], reason["track_id"], reason["title"]) == ("similar", 1, "Dawn")
    assert [item["track_id"] for item in placed["items"]] == [3, 1, 4, 2, 5]
    assert {item["reasons"][0]["kind"] for item in placed["items"]} == {"audio"}
    assert [item["track_id"] for item in unknown_to_the_model["items"]][-1] == 3
    assert unknown_to_the_model["model_id"] is None
    assert [item["track_id"] for item in limited["items"]] == [3]
    assert after["model_id"] == second


async def test_a_track_that_is_gone_is_like_nothing(web: Server, visitor: Listener) -> None:
    assert (await visitor.call("GET", "tracks/999/similar"))[0] == 404
    assert (await visitor.call("GET", "tracks/1/similar?limit=0"))[0] == 400
    assert (await visitor.call("GET", "tracks/1/similar", headers={"Authorization": "Bearer no"}))[0] == 401


async def _new_version(web: Server, version: str) -> None:
    client: MongoClient[dict[str, Any]] = MongoClient(web.settings.mongodb_address)
    with client:
        database = client[web.settings.mongodb_database]
        assert database[TRACKS.name].count_documents({})
        database["catalogue"].update_one({"_id": "catalogue"}, {"$set": {"version": version}})


async def _until_found(visitor: Listener, track_id: int) -> dict[str, Any]:
    for _ in range(150):
        _, found = await visitor.call("GET", f"tracks/{track_id}/similar")
        if found["items"]:
            return dict(found)
        await asyncio.sleep(0.1)
    raise AssertionError("the features were not read in time")
