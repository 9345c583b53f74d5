"""What MongoDB holds of own music: the files as they were last seen, and their tracks."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from pymongo import DeleteOne, ReplaceOne, UpdateMany

from connections.documents import Database, answered
from etl import load
from etl.features import VERSION
from etl.own_files import Found
from etl.own_identity import SOURCE, Known, Label
from schemas.documents import (
    FEATURES,
    OWN_FILES,
    TRACK_DETAILS,
    TRACKS,
    Audio,
    OwnFile,
    RefusedFile,
    TrackDetails,
)


@dataclass(frozen=True, slots=True)
class TrackState:
    """What matters of a track document; ``sounded``: it has had sound."""

    audio: Audio | None
    hidden: bool
    length_ms: int | None
    sounded: bool


@dataclass
class Memory:
    """What earlier runs left.

    Attributes
    ----------
    records : by their id
    tracks : by track id
    refused : files that were read and refused, by path
    """

    records: dict[str, OwnFile]
    tracks: dict[int, TrackState]
    refused: dict[str, RefusedFile]
    _at_path: dict[str, list[OwnFile]] = field(default_factory=dict)
    _held: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        # of several tracks that lay at one path at different times, the one that is there goes first
        for record in sorted(self.records.values(), key=lambda each: (each["gone"], each["_id"])):
            self._at_path.setdefault(record["path"], []).append(record)
        self._held = {sha256 for each in self.known() for sha256 in (each.sha256, each.key)}

    def known(self) -> list[Known]:
        """Return all tracks with their files."""
        return [
            Known(record["track_id"], record["key"], record["path"], record["sha256"], label_of(record))
            for record in self.records.values()
            if record["key"] is not None and record["track_id"] in self.tracks
        ]

    def unchanged(self, found: Found) -> OwnFile | None:
        """Return the record of a file of which nothing must be read.

        It has path, size and time stamp of an earlier run, and is a track or a copy of one.
        """
        for record in self._at_path.get(found.path, ()):
            same = (record["bytes"], record["modified_ns"]) == (found.bytes, found.modified_ns)
            if same and record["sha256"] in self._held:
                return record
        return None

    def still_refused(self, found: Found) -> str | None:
        """Return why a file that is no track was refused, if it is the same and would be read like then."""
        before = self.refused.get(found.path)
        if before is None or before["checks"] != VERSION or found.path not in self.records:
            return None
        same = (before["bytes"], before["modified_ns"]) == (found.bytes, found.modified_ns)
        return before["reason"] if same else None


def record_id(track_id: int) -> str:
    """Return the id of a track's record."""
    return str(track_id)


def label_of(record: OwnFile) -> Label:
    """Return the names that a record was made with."""
    return Label(record["title"], record["artist"], record["album"], record["tagged"])


async def read_memory(database: Database) -> Memory:
    """Return what earlier runs left."""
    records = database[OWN_FILES.name].find({})
    fields = {"audio": 1, "removed_ms": 1, "track_ms": 1, "peaks": {"$slice": 1}}
    tracks = database[TRACKS.name].find({"source": SOURCE}, fields)
    return Memory(
        {
            each["_id"]: cast(OwnFile, each)
            for each in await answered(records.to_list(None), "reading own files")
        },
        {
            each["_id"]: TrackState(
                each.get("audio"), "removed_ms" in each, each.get("track_ms"), bool(each.get("peaks"))
            )
            for each in await answered(tracks.to_list(None), "reading the catalogue")
        },
        await load.refused_files(database, SOURCE),
    )


async def read_features(database: Database, track_ids: Collection[int]) -> dict[int, NDArray[np.float64]]:
    """Return the features of tracks, as extracted and of the present definition: float64 [f]."""
    wanted = {"_id": {"$in": list(track_ids)}, "version": VERSION}
    found = await answered(database[FEATURES.name].find(wanted, {"raw": 1}).to_list(None), "reading features")
    return {each["_id"]: np.asarray(each["raw"], np.float64) for each in found}


async def with_features(database: Database, track_ids: Collection[int]) -> set[int]:
    """Return which tracks have features of the present definition."""
    wanted = {"_id": {"$in": list(track_ids)}, "version": VERSION}
    found = await answered(database[FEATURES.name].find(wanted, {"_id": 1}).to_list(None), "reading features")
    return {each["_id"] for each in found}


async def write_records(database: Database, memory: Memory, records: Mapping[str, OwnFile | None]) -> None:
    """Write the records that differ from what is stored, and remove those that are None."""
    operations: list[ReplaceOne[OwnFile] | DeleteOne] = []
    for key, record in records.items():
        if record is None:
            operations.append(DeleteOne({"_id": key}))
        elif memory.records.get(key) != record:
            operations.append(ReplaceOne({"_id": key}, record, upsert=True))
    await _bulk(database, OWN_FILES.name, operations)
    for key, record in records.items():
        if record is None:
            memory.records.pop(key, None)
        else:
            memory.records[key] = record


async def write_details(database: Database, details: Iterable[TrackDetails]) -> None:
    """Write what the tags tell beyond a track's description."""
    operations = [
        ReplaceOne({"_id": each["_id"]}, each, upsert=True)
        if len(each) > 1
        else DeleteOne({"_id": each["_id"]})
        for each in details
    ]
    await _bulk(database, TRACK_DETAILS.name, operations)


async def hide(database: Database, track_ids: Sequence[int]) -> None:
    """Mark tracks without a usable file; the time of tracks that are marked already stays."""
    ids = {"$in": list(track_ids)}
    await _bulk(
        database,
        TRACKS.name,
        [
            UpdateMany(
                {"_id": ids, "removed_ms": {"$exists": False}}, {"$set": {"removed_ms": load.now_ms()}}
            ),
            UpdateMany({"_id": ids, "audio": {"$ne": None}}, {"$set": {"audio": None}}),
        ],
    )


async def show_again(database: Database, track_ids: Sequence[int]) -> None:
    """Take the mark from tracks that have their sound."""
    ids = {"_id": {"$in": list(track_ids)}, "removed_ms": {"$exists": True}}
    operation = database[TRACKS.name].update_many(ids, {"$unset": {"removed_ms": ""}})
    await answered(operation, "writing tracks")


async def drop_never_heard(database: Database) -> None:
    """Remove the documents of tracks that never had sound and that no file stands for."""
    never = {"source": SOURCE, "removed_ms": {"$exists": True}, "peaks": {"$exists": False}}
    found = await answered(database[TRACKS.name].find(never, {"_id": 1}).to_list(None), "reading tracks")
    keys = {record_id(each["_id"]): each["_id"] for each in found}
    # asked now: another run may have just added them
    records = database[OWN_FILES.name].find({"_id": {"$in": list(keys)}}, {"_id": 1})
    there = {each["_id"] for each in await answered(records.to_list(None), "reading own files")}
    unused = [track_id for key, track_id in keys.items() if key not in there]
    for name in (TRACK_DETAILS.name, TRACKS.name):
        await answered(database[name].delete_many({"_id": {"$in": unused}}), f"writing {name}")


async def _bulk(database: Database, name: str, operations: Sequence[Any]) -> None:
    for start in range(0, len(operations), load.BATCH):
        batch = list(operations[start : start + load.BATCH])
        await answered(database[name].bulk_write(batch, ordered=False), f"writing {name}")
