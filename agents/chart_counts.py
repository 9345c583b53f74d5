"""Counts the archive into hourly buckets, each applied event once, in transactions.

A transaction moves how far is counted together with what was counted. So a crash at any moment, an outage,
or another worker that counts at the same time changes nothing; and an event counts by its place in the log,
so it is counted however late it came into the archive, and whatever its hour is.
"""

import re
import time
from typing import Any, NamedTuple

import numpy as np
from pymongo import DeleteMany, InsertOne, UpdateOne

from agents.chart_changes import Batch, Changes
from connections.documents import Database, Session, answered, in_transaction
from recommender.catalogue import Chart
from schemas.documents import (
    ARCHIVE,
    ARCHIVE_POSITIONS,
    CHART_HOURS,
    CHART_LISTENERS,
    CHART_POSITIONS,
    CHART_TRACKS,
    Collection,
)

_PairWrite = DeleteMany | InsertOne[dict[str, Any]] | UpdateOne
_EVENTS_AT_ONCE = 1_000
_HOURS_AT_ONCE = 24
_ROWS_AT_ONCE = 1_000  # decoding more at once would keep the event loop waiting
_FIELDS = {"offset": 1, "type": 1, "user_id": 1, "track_id": 1, "server_time_ms": 1}


class Counted(NamedTuple):
    """How far is counted: offsets by partition, and the first hour of the window."""

    offsets: dict[int, int]
    from_hour: int


class ChartCounts:
    """The buckets of one log.

    Parameters
    ----------
    generation : the log's name; events of another log are not counted
    """

    def __init__(self, database: Database, generation: str) -> None:
        self._database = database
        self._generation = generation
        self._of_log = f"{generation}/"

    async def count(self, from_hour: int, budget_s: float) -> Counted | None:
        """Count all that the archive completely holds, and begin the window at ``from_hour``.

        Returns
        -------
        How far is counted; None when more is left after ``budget_s`` seconds, then call again. At least one
        batch is counted.

        Raises
        ------
        DocumentsUnavailable
            MongoDB did not answer, or another worker counts at the same time.
        """
        until, begun = time.monotonic() + budget_s, False
        while True:
            archived = await self._archived(None)
            counted = await self._counted(None, from_hour)
            if counted == Counted({**counted.offsets, **archived}, max(from_hour, counted.from_hour)):
                return counted
            if begun and time.monotonic() >= until:
                return None
            begun = True

            async def one(session: Session) -> bool:
                return await self._count_one(session, from_hour)

            if await in_transaction(self._database, one, "counting listeners"):
                await self._remove_old()

    async def listeners(self) -> Chart:
        """Return every track that was listened to in the window, with its listeners, in no order."""
        rows = self._database[CHART_TRACKS.name].find(
            {"generation": self._generation, "listeners": {"$gt": 0}},
            {"_id": 0, "track_id": 1, "listeners": 1},
            batch_size=_ROWS_AT_ONCE,
        )
        found: list[tuple[int, int]] = []
        while some := await answered(rows.to_list(_ROWS_AT_ONCE), "reading the counted listeners"):
            found += [(row["track_id"], row["listeners"]) for row in some]
        table = np.array(found, np.int64).reshape(-1, 2)
        return Chart(table[:, 0], table[:, 1])

    async def _archived(self, session: Session | None) -> dict[int, int]:
        """Return the offset of each partition below which the archive is complete."""
        rows = self._database[ARCHIVE_POSITIONS.name].find(_of(self._of_log), session=session)
        found = await answered(rows.to_list(None), "reading how far the archive is complete")
        return {int(row["_id"].removeprefix(self._of_log)): int(row["offset"]) for row in found}

    async def _counted(self, session: Session | None, from_hour: int) -> Counted:
        found = await answered(
            self._database[CHART_POSITIONS.name].find_one({"_id": self._generation}, session=session),
            "reading how far is counted",
        )
        if found is None:
            return Counted({}, from_hour)
        return Counted(
            {int(name): int(offset) for name, offset in found["offsets"].items()}, int(found["from_hour"])
        )

    async def _count_one(self, session: Session, from_hour: int) -> bool:
        """Count one batch; return whether the window has moved on."""
        before = await self._counted(session, from_hour)
        begins = min(max(from_hour, before.from_hour), before.from_hour + _HOURS_AT_ONCE)
        changes = Changes()
        if begins > before.from_hour:
            await self._leave_hours(session, before.from_hour, begins, changes)
        batch, offsets = await self._next_batch(session, before, begins)
        pairs = await self._apply(session, batch, begins, changes)
        await self._write(session, pairs, changes)
        await self._database[CHART_POSITIONS.name].replace_one(
            {"_id": self._generation},
            {"offsets": {str(name): offset for name, offset in offsets.items()}, "from_hour": begins},
            upsert=True,
            session=session,
        )
        return begins > before.from_hour

    async def _leave_hours(self, session: Session, begin: int, end: int, changes: Changes) -> None:
        """Take the hours ``[begin, end)`` out of the window."""
        gone = self._database[CHART_HOURS.name].aggregate(
            [
                {"$match": {"generation": self._generation, "hour": {"$gte": begin, "$lt": end}}},
                {"$group": {"_id": "$track_id", "listeners": {"$sum": "$listeners"}}},
            ],
            session=session,
        )
        for row in await gone.to_list(None):
            changes.tracks[row["_id"]] -= row["listeners"]

    async def _next_batch(
        self, session: Session, before: Counted, from_hour: int
    ) -> tuple[Batch, dict[int, int]]:
        """Return what was archived next, and the offsets below which it is then counted."""
        batch, offsets, left = Batch(), dict(before.offsets), _EVENTS_AT_ONCE
        for partition, end in sorted((await self._archived(session)).items()):
            begin = offsets.get(partition, 0)
            if begin >= end or not left:
                continue
            wanted = {
                "partition": partition,
                "offset": {"$gte": begin, "$lt": end},
                "$or": [{"listen": True}, {"type": "forget"}],
                **_of(self._of_log),
            }
            rows = self._database[ARCHIVE.name].find(wanted, _FIELDS, session=session)
            found = await rows.sort("offset", 1).limit(left).to_list(left)
            left -= len(found)
            offsets[partition] = end if left else int(found[-1]["offset"]) + 1
            for event in found:
                batch.take(event, from_hour)
        return batch, offsets

    async def _apply(
        self, session: Session, batch: Batch, from_hour: int, changes: Changes
    ) -> list[_PairWrite]:
        """Note what changes; return the writes of who listened to what."""
        listeners = self._database[CHART_LISTENERS.name]
        gone: list[_PairWrite] = []
        for user_id in sorted(batch.forgotten):
            everything = _of(f"{user_id}/")
            async for pair in listeners.find(everything, session=session):
                if pair["_id"].startswith(f"{user_id}/{self._of_log}") and pair["hour"] >= from_hour:
                    changes.move(pair["track_id"], pair["hour"], None)
            gone.append(DeleteMany(everything))
        keys = {pair: f"{pair[0]}/{self._of_log}{pair[1]}" for pair in batch.newest}
        kept = [key for (user_id, _), key in keys.items() if user_id not in batch.forgotten]
        held = {
            pair["_id"]: int(pair["hour"])
            async for pair in listeners.find({"_id": {"$in": kept}}, session=session)
        }
        new: list[_PairWrite] = []
        moved: list[_PairWrite] = []
        for (user_id, track_id), hour in batch.newest.items():
            key = keys[user_id, track_id]
            before = held.get(key)
            if before is None:
                new.append(InsertOne({"_id": key, "track_id": track_id, "hour": hour}))
            elif before < hour:
                moved.append(UpdateOne({"_id": key}, {"$set": {"hour": hour}}))
            else:
                continue
            changes.move(track_id, before if before is not None and before >= from_hour else None, hour)
        return [*gone, *new, *moved]  # those of one kind together go in one command

    async def _write(self, session: Session, pairs: list[_PairWrite], changes: Changes) -> None:
        hours = [
            _added(
                f"{self._of_log}{hour}/{track_id}",
                {"generation": self._generation, "hour": hour, "track_id": track_id},
                listeners,
            )
            for (hour, track_id), listeners in changes.hours.items()
            if listeners
        ]
        tracks = [
            _added(
                f"{self._of_log}{track_id}",
                {"generation": self._generation, "track_id": track_id},
                listeners,
            )
            for track_id, listeners in changes.tracks.items()
            if listeners
        ]
        for collection, writes in ((CHART_LISTENERS, pairs), (CHART_HOURS, hours), (CHART_TRACKS, tracks)):
            if writes:
                await self._database[collection.name].bulk_write(writes, session=session)

    async def _remove_old(self) -> None:
        """Remove what has left the window: it counts no more, so this may be done at any time, or twice."""
        counted = await self._counted(None, 0)
        gone: list[tuple[Collection, dict[str, Any]]] = [
            (CHART_LISTENERS, {"hour": {"$lt": counted.from_hour}}),
            (CHART_HOURS, {"hour": {"$lt": counted.from_hour}}),
            (CHART_TRACKS, {"generation": self._generation, "listeners": {"$lte": 0}}),
        ]
        for collection, old in gone:
            await answered(self._database[collection.name].delete_many(old), "removing old listeners")


def _of(prefix: str) -> dict[str, Any]:
    return {"_id": {"$regex": f"^{re.escape(prefix)}"}}


def _added(key: str, fields: dict[str, Any], listeners: int) -> UpdateOne:
    return UpdateOne({"_id": key}, {"$inc": {"listeners": listeners}, "$setOnInsert": fields}, upsert=True)
