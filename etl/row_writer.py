"""Write described rows to MongoDB: what is stored already and equal is not written again.

Writing goes on while the next rows are read. New documents are inserted, which costs less than an upsert;
only documents that differ are updated. All of it can be repeated.
"""

import asyncio
import struct
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

import bson
from pymongo import ReplaceOne
from pymongo.errors import BulkWriteError

from connections.documents import Database, answered
from etl import load
from etl.rows import Described
from schemas.documents import TRACK_DETAILS, TRACKS, Track, TrackDetails
from schemas.errors import InvalidInput

BATCH = 1_000
_LANES = 3  # batches on their way
_DUPLICATE = 11000
_HEAD = struct.Struct("<iB")  # size of the document, type of its first field
_ID_AT = 9  # after size, type and the name "_id"
_INT32, _INT64 = struct.Struct("<i"), struct.Struct("<q")
_INT64_KIND = 0x12
_Document = Track | TrackDetails


class RowWriter:
    """Takes batches of rows; ``close`` waits until all are written.

    Attributes
    ----------
    changed : documents of ``tracks`` that are new or differ
    changed_details : the same of ``track_details``
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._running: set[asyncio.Task[None]] = set()
        self._empty: dict[str, bool] = {}
        self.changed = 0
        self.changed_details = 0

    async def open(self) -> None:
        """Look which collections are empty: of those nothing need be read."""
        for name in (TRACKS.name, TRACK_DETAILS.name):
            count = self._database[name].estimated_document_count()
            self._empty[name] = await answered(count, f"counting {name}") == 0

    async def write(self, rows: Sequence[Described]) -> None:
        """Begin to write a batch; wait while too many are on their way.

        Raises
        ------
        InvalidInput
            A track of another source has one of the ids.
        """
        while len(self._running) >= _LANES:
            await self._finish(asyncio.FIRST_COMPLETED)
        if rows:
            self._running.add(asyncio.create_task(self._write(rows)))
            await asyncio.sleep(0)  # let it begin

    async def close(self) -> None:
        """Return when everything is written."""
        while self._running:
            await self._finish(asyncio.ALL_COMPLETED)

    async def abandon(self) -> None:
        """Stop what is on its way."""
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        self._running.clear()

    async def _finish(self, when: str) -> None:
        done, self._running = await asyncio.wait(self._running, return_when=when)
        for task in done:
            task.result()

    async def _write(self, rows: Sequence[Described]) -> None:
        tracks, details = await asyncio.gather(
            self._write_tracks([row.track for row in rows]),
            self._write_details([row.details for row in rows]),
        )
        self.changed += tracks
        self.changed_details += details

    async def _write_tracks(self, tracks: Sequence[Track]) -> int:
        stored = await self._stored(TRACKS.name, tracks, {"peaks": 0})
        new: list[Track] = []
        differing: list[Track] = []
        heard: dict[int, object] = {}
        for track in tracks:
            found = stored.get(track["_id"])
            if found is None:
                new.append(track)
            elif found != bson.encode(track):
                known = bson.decode(found)
                if known["audio"] is not None:
                    heard[track["_id"]] = known["audio"]
                if not _same(known, track):
                    differing.append(track)
        twice = await self._insert(TRACKS.name, new)
        differing += [new[place] for place in twice]
        changed = await load.write_tracks(self._database, differing, heard) if differing else 0
        return len(new) - len(twice) + changed

    async def _write_details(self, details: Sequence[TrackDetails]) -> int:
        stored = await self._stored(TRACK_DETAILS.name, details, None)
        new = [each for each in details if each["_id"] not in stored]
        twice = await self._insert(TRACK_DETAILS.name, new)
        differing = [new[place] for place in twice]
        if stored:
            differing += [
                each for each in details if each["_id"] in stored and stored[each["_id"]] != bson.encode(each)
            ]
        if differing:
            operations = [ReplaceOne({"_id": each["_id"]}, dict(each), upsert=True) for each in differing]
            writing = self._database[TRACK_DETAILS.name].bulk_write(operations, ordered=False)
            await answered(writing, f"writing {TRACK_DETAILS.name}")
        return len(new) - len(twice) + len(differing)

    async def _stored(
        self, name: str, documents: Sequence[_Document], projection: Mapping[str, int] | None
    ) -> dict[int, bytes]:
        """Return the stored ones by id, as BSON: comparing bytes costs less than decoding them."""
        if self._empty.get(name):
            return {}
        ids = {"$in": [each["_id"] for each in documents]}
        cursor = self._database[name].find_raw_batches({"_id": ids}, projection)

        async def read() -> list[bytes]:
            return [batch async for batch in cursor]

        return {
            number: document
            for batch in await answered(read(), f"reading {name}")
            for number, document in _documents(batch)
        }

    async def _insert(self, name: str, new: Sequence[_Document]) -> list[int]:
        """Insert documents; return the places of those that somebody else had inserted meanwhile."""
        if not new:
            return []
        try:
            writing = self._database[name].insert_many(cast(list[dict[str, Any]], new), ordered=False)
            await answered(writing, f"writing {name}")
        except BulkWriteError as error:
            refused = error.details["writeErrors"]
            if any(each["code"] != _DUPLICATE for each in refused):
                raise InvalidInput(f"MongoDB refused a document of {name}: {refused[0]['errmsg']}") from error
            return [each["index"] for each in refused]
        return []


def _documents(batch: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield id and bytes of each document of a batch; ``_id`` is a whole number and the first field."""
    at = 0
    while at < len(batch):
        size, kind = _HEAD.unpack_from(batch, at)
        number = (_INT64 if kind == _INT64_KIND else _INT32).unpack_from(batch, at + _ID_AT)[0]
        yield number, batch[at : at + size]
        at += size


def _same(known: Mapping[str, Any], track: Track) -> bool:
    """Return whether a stored track says what the row says; sound, and then length, come from a file."""
    kept = {"audio"} if known["audio"] is None else {"audio", "track_ms"}
    return all(name in kept or (name in known and known[name] == value) for name, value in track.items())
