"""Write tracks, features and rejections to MongoDB. Every write can be repeated and then changes nothing."""

import hashlib
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

from pymongo import UpdateOne
from pymongo.errors import BulkWriteError

from connections.documents import Database, answered
from schemas.documents import CATALOGUE, FEATURES, REJECTED_TRACKS, TRACKS, CatalogueState, Features, Track
from schemas.errors import InvalidInput

BATCH = 1_000
CATALOGUE_ID = "catalogue"
_HASHED = ("title", "artist", "artist_id", "album", "genres", "track_ms", "licence", "audio")


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
    database: Database, sounds: Iterable[tuple[int, dict[str, Any], Features]]
) -> tuple[int, int]:
    """Upsert features and give tracks their sound; return changed (tracks, features).

    Parameters
    ----------
    sounds : (track id, fields of the track [audio, peaks, track_ms], features)
    """
    sounds = list(sounds)
    # features first: a track that has its sound is never read again
    features = [
        UpdateOne(
            {"_id": found["_id"]}, {"$set": {k: v for k, v in found.items() if k != "_id"}}, upsert=True
        )
        for _, _, found in sounds
    ]
    tracks = [UpdateOne({"_id": track_id}, {"$set": fields}) for track_id, fields, _ in sounds]
    written = await _write(database, FEATURES.name, features)
    return await _write(database, TRACKS.name, tracks), written


async def write_rejected(
    database: Database, source: str, reasons: Mapping[str, str], *, complete: bool
) -> int:
    """Record why tracks were refused; a reason that has not changed keeps its time.

    ``complete``: nothing else of this source is refused, so older rejections go.
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
    digest = hashlib.sha256()
    cursor = database[TRACKS.name].find({}, dict.fromkeys(_HASHED, 1)).sort("_id", 1)
    tracks = await answered(cursor.to_list(None), "reading the catalogue")
    for track in tracks:
        digest.update(repr([track["_id"], *(track.get(name) for name in _HASHED)]).encode())
    digest.update(str(len(tracks)).encode())
    state = CatalogueState(
        _id=CATALOGUE_ID, version=digest.hexdigest(), tracks=len(tracks), source=source, updated_ms=now_ms()
    )
    catalogue = database[CATALOGUE.name]
    found = await answered(catalogue.find_one({"_id": CATALOGUE_ID}), "reading the catalogue")
    if found is not None and (found["version"], found["source"]) == (state["version"], source):
        return cast(CatalogueState, found)
    await answered(
        catalogue.replace_one({"_id": CATALOGUE_ID}, dict(state), upsert=True), "writing the catalogue"
    )
    return state


async def _write(database: Database, name: str, operations: Sequence[UpdateOne]) -> int:
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
