"""Write tracks, features and rejections to MongoDB. Every write can be repeated and then changes nothing."""

import hashlib
import re
import time
from collections.abc import Mapping, Sequence
from typing import Any, cast

from pymongo import ReplaceOne, UpdateOne
from pymongo.errors import BulkWriteError

from connections.documents import Database, answered
from schemas.documents import (
    CATALOGUE,
    FEATURES,
    PRECOMPUTED,
    REJECTED_TRACKS,
    TRACKS,
    CatalogueState,
    Features,
    RefusedFile,
    Track,
)
from schemas.errors import InvalidInput

_Operation = UpdateOne | ReplaceOne[dict[str, Any]]
BATCH = 1_000
CATALOGUE_ID = "catalogue"
_HASHED = (
    "title", "artist", "artist_id", "album", "genres", "track_ms", "licence", "removed_ms",
)  # fmt: skip
_HASHED_AUDIO = ("path", "mime", "bytes", "sha256")  # a time stamp says nothing about a track
_DESCRIPTION: dict[str, Any] = {name: f"${name}" for name in _HASHED} | {
    "audio": {name: f"$audio.{name}" for name in _HASHED_AUDIO}
}


def now_ms() -> int:
    """Return milliseconds since 1970."""
    return time.time_ns() // 1_000_000


async def claim(database: Database, source: str) -> None:
    """Refuse to mix catalogues: one data folder holds one world.

    Raises
    ------
    InvalidInput
        The database holds tracks of another source.
    """
    other = await answered(
        database[TRACKS.name].find_one({"source": {"$ne": source}}, {"source": 1}), "reading the catalogue"
    )
    if other is not None:
        raise InvalidInput(
            f"database {database.name} already holds the catalogue {other['source']!r}, and catalogues never "
            f"mix: use another folder (SEGUE_DATA_DIR) for {source!r}"
        )


async def write_tracks(database: Database, tracks: Sequence[Track], heard: Mapping[int, object]) -> int:
    """Upsert the descriptions of tracks; return how many documents changed or are new.

    Parameters
    ----------
    tracks : at most a few thousand
    heard : ids whose sound is loaded already: their sound and length, taken from the file, stay

    Raises
    ------
    InvalidInput
        Two different tracks share one id.
    """
    operations = []
    for track in tracks:
        described: dict[str, Any] = {**track}
        for name in ("_id", "source", "source_key", "audio"):
            del described[name]
        if track["_id"] in heard:
            del described["track_ms"]
        operations.append(
            UpdateOne(
                # with another source_key under this id the upsert fails: the collision is refused
                {"_id": track["_id"], "source": track["source"], "source_key": track["source_key"]},
                {"$set": described, "$setOnInsert": {"audio": track["audio"]}},
                upsert=True,
            )
        )
    return await _write(database, TRACKS.name, operations)


async def write_sound(
    database: Database, sounds: Mapping[int, Mapping[str, Any]], features: Sequence[Features]
) -> int:
    """Write features, then give tracks their sound; return how many tracks changed.

    In this order, because a track that has its sound is not read again.

    Parameters
    ----------
    sounds : for each track id the fields of the track: audio, peaks, track_ms
    """
    await write_features(database, features)
    tracks = [UpdateOne({"_id": track_id}, {"$set": fields}) for track_id, fields in sounds.items()]
    return await _write(database, TRACKS.name, tracks)


async def write_features(database: Database, features: Sequence[Features]) -> int:
    """Write vectors in the place of what their tracks had; return how many documents changed or are new."""
    operations = [ReplaceOne({"_id": found["_id"]}, dict(found), upsert=True) for found in features]
    return await _write(database, FEATURES.name, operations)


async def silence(database: Database, track_ids: Sequence[int]) -> None:
    """Take the sound from tracks whose file is unreadable: no play button that cannot play.

    Vectors that came as a table stay: they were not made from this file.
    """
    if not track_ids:
        return
    ids = {"$in": list(track_ids)}
    tracks = database[TRACKS.name].update_many(
        {"_id": ids, "audio": {"$ne": None}}, {"$set": {"audio": None}}
    )
    await answered(tracks, "writing tracks")
    made_here = {"$not": {"$regex": f"^{re.escape(PRECOMPUTED)}"}}
    features = database[FEATURES.name].delete_many({"_id": ids, "version": made_here})
    await answered(features, "writing features")


async def refused_files(database: Database, source: str) -> dict[str, RefusedFile]:
    """Return the files of a source that were read and refused, by key."""
    mine = {"_id": {"$regex": f"^{re.escape(source)}:"}, "file": {"$exists": True}}
    cursor = database[REJECTED_TRACKS.name].find(mine, {"file": 1})
    found = await answered(cursor.to_list(None), "reading rejections")
    return {each["_id"].removeprefix(f"{source}:"): each["file"] for each in found}


async def write_rejected(
    database: Database,
    source: str,
    reasons: Mapping[str, str],
    *,
    complete: bool,
    files: Mapping[str, RefusedFile] | None = None,
) -> int:
    """Record why tracks were refused; a reason that has not changed keeps its time.

    ``complete``: nothing else of this source is refused, so older rejections go. ``files``: what was read
    in vain, by key.
    """
    if complete:
        kept_ids = [f"{source}:{key}" for key in reasons]
        others = {"$regex": f"^{re.escape(source)}:", "$nin": kept_ids}
        await answered(database[REJECTED_TRACKS.name].delete_many({"_id": others}), "removing old rejections")
    now = now_ms()
    kept = {"$cond": [{"$eq": ["$reason", "$$reason"]}, "$updated_ms", now]}
    operations = [
        UpdateOne(
            {"_id": f"{source}:{key}"},
            [
                {
                    "$set": {
                        "updated_ms": {"$let": {"vars": {"reason": {"$literal": reason}}, "in": kept}},
                        "reason": {"$literal": reason},
                        **({"file": {"$literal": dict(files[key])}} if files and key in files else {}),
                    }
                }
            ],
            upsert=True,
        )
        for key, reason in reasons.items()
    ]
    return await _write(database, REJECTED_TRACKS.name, operations)


async def publish_catalogue(database: Database, source: str) -> CatalogueState:
    """Bring the catalogue document up to date and return it; unchanged tracks leave it untouched.

    ``version`` is a hash of the count and of each track's id and description.
    """
    version, count = await answered(_digest(database), "reading the catalogue")
    state = CatalogueState(
        _id=CATALOGUE_ID, version=version, tracks=count, source=source, updated_ms=now_ms()
    )
    catalogue = database[CATALOGUE.name]
    found = await answered(catalogue.find_one({"_id": CATALOGUE_ID}), "reading the catalogue")
    if found is not None and (found["version"], found["source"]) == (state["version"], source):
        return cast(CatalogueState, found)
    await answered(
        catalogue.replace_one({"_id": CATALOGUE_ID}, dict(state), upsert=True), "writing the catalogue"
    )
    return state


async def _digest(database: Database) -> tuple[str, int]:
    """Return a hash of all descriptions in the order of their ids, and how many there are.

    MongoDB puts the fields in one order, and the bytes are hashed as they come: decoding them would take
    longer than reading them.
    """
    digest, count = hashlib.sha256(), 0
    stages = [{"$sort": {"_id": 1}}, {"$project": _DESCRIPTION}]
    async for batch in database[TRACKS.name].aggregate_raw_batches(stages):
        digest.update(batch)
        at = 0
        while at < len(batch):  # each document begins with its length
            at += int.from_bytes(batch[at : at + 4], "little")
            count += 1
    digest.update(str(count).encode())
    return digest.hexdigest(), count


async def _write(database: Database, name: str, operations: Sequence[_Operation]) -> int:
    changed = 0
    for start in range(0, len(operations), BATCH):
        batch = operations[start : start + BATCH]
        try:
            result = await answered(database[name].bulk_write(batch, ordered=False), f"writing {name}")
        except BulkWriteError as error:
            raise _refusal(name, error) from error
        changed += result.modified_count + result.upserted_count
    return changed


def _refusal(name: str, error: BulkWriteError) -> InvalidInput:
    first = error.details["writeErrors"][0]
    if first["code"] == 11000 and name == TRACKS.name:
        wanted = first["op"]["q"]
        return InvalidInput(
            f"track id {wanted['_id']} of {wanted['source']}:{wanted['source_key']} belongs to another track"
        )
    return InvalidInput(f"MongoDB refused a document of {name}: {first['errmsg']}")
