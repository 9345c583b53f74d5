"""Applied events to MongoDB: the history page, charts and every refold of one user read them there."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import structlog
from pymongo import InsertOne, UpdateOne
from pymongo.errors import BulkWriteError

from connections.documents import DUPLICATE_KEY, Database, answered
from connections.list_store import remove_lists
from recommender.history import is_listen
from recommender.partition import Folded, Record
from recommender.windows import Outcome
from schemas import events
from schemas.documents import ARCHIVE, ARCHIVE_POSITIONS
from schemas.errors import DocumentsUnavailable, LogUnavailable

FoldAgain = Callable[[int, int, int], AsyncIterator[tuple[Sequence[Record], Sequence[Folded]]]]
_log = structlog.get_logger()
_RETRY_S = 1.0
_GATHER_S = 0.1  # nobody waits for the archive: what comes within this time is written at once


@dataclass(frozen=True, slots=True)
class _Batch:
    generation: str
    partition: int
    first: int
    position: int
    documents: list[dict[str, Any]]
    forgotten: dict[str, int]  # user id -> offset of the event that forgets all before it
    written: asyncio.Future[None]


class Archive:
    """Writes what is submitted, oldest first, until MongoDB acknowledges it. Run ``run`` beside it.

    Writing the same event again changes nothing: its id is its place in the log. How far the archive is
    complete moves only where there is no hole: what a MongoDB that was set back has lost comes from the log.

    Parameters
    ----------
    fold_again : returns what became of the records ``[start, end)`` of a partition, from the log

    Attributes
    ----------
    behind : events that wait for MongoDB
    complete : offset of each partition below which the archive is known to be complete
    """

    def __init__(self, database: Database, fold_again: FoldAgain) -> None:
        self._database = database
        self._fold_again = fold_again
        self.complete: dict[int, int] = {}
        self._waiting: list[_Batch] = []
        self._arrived = asyncio.Event()
        self.behind = 0
        self.waiting_for: str | None = None

    def submit(
        self,
        generation: str,
        partition: int,
        position: int,
        records: Sequence[Record],
        folded: Sequence[Folded],
    ) -> asyncio.Future[None]:
        """Note the applied events of a chunk; the future ends when they are written.

        Parameters
        ----------
        position : offset below which the archive is complete once these are written
        """
        batch = _batch(generation, partition, position, records, folded)
        self._waiting.append(batch)
        self.behind += len(batch.documents)
        self._arrived.set()
        return batch.written

    async def run(self) -> None:
        """Write for as long as the worker lives; an outage of MongoDB is waited out."""
        while True:
            await self._arrived.wait()
            await asyncio.sleep(_GATHER_S)
            self._arrived.clear()
            batches, self._waiting = self._waiting, []
            while not await self._write(batches):
                self.waiting_for = "MongoDB"
                await asyncio.sleep(_RETRY_S)
            self.waiting_for = None
            for batch in batches:
                self.behind -= len(batch.documents)
                if not batch.written.done():
                    batch.written.set_result(None)

    async def _write(self, batches: Sequence[_Batch]) -> bool:
        try:
            recorded = await self._recorded(batches)
            again: set[str] = set()
            for batch in batches:
                complete = recorded.get(batch.partition, 0)
                if batch.first > complete:
                    await self._fill(batch, complete)
                elif batch.first < complete:
                    again.update(document["user_id"] for document in batch.documents)
                recorded[batch.partition] = max(batch.position, complete)
            await self._put(batches)
            if again:
                await self._forget_again(again)
        except (DocumentsUnavailable, LogUnavailable) as error:
            _log.warning("archive waits", behind=self.behind, error=str(error))
            return False
        return True

    async def _recorded(self, batches: Sequence[_Batch]) -> dict[int, int]:
        """Return how far the archive is complete, of the partitions of ``batches`` that it has begun."""
        of = {_place(batch): batch.partition for batch in batches}
        rows = self._database[ARCHIVE_POSITIONS.name].find({"_id": {"$in": list(of)}})
        found = await answered(rows.to_list(None), "reading how far the archive is complete")
        return {of[row["_id"]]: int(row["offset"]) for row in found}

    async def _fill(self, batch: _Batch, start: int) -> None:
        """Archive what stands in the log between ``start`` and the batch, and is not known to be there."""
        _log.warning("archive is filled up", partition=batch.partition, start=start, end=batch.first)
        async for records, folded in self._fold_again(batch.partition, start, batch.first):
            end = records[-1][0] + 1
            await self._put([_batch(batch.generation, batch.partition, end, records, folded)])

    async def _put(self, batches: Sequence[_Batch]) -> None:
        """Write events, then what they erase, and only then how far the archive is complete."""
        documents = [InsertOne(document) for batch in batches for document in batch.documents]
        if documents:
            await self._insert(documents)
        for batch in batches:
            for user_id, offset in batch.forgotten.items():
                await self._forget(batch, user_id, offset)
        await answered(
            self._database[ARCHIVE_POSITIONS.name].bulk_write(
                [
                    UpdateOne({"_id": _place(batch)}, {"$max": {"offset": batch.position}}, upsert=True)
                    for batch in batches
                ]
            ),
            "noting how far the archive is complete",
        )
        for batch in batches:
            self.complete[batch.partition] = max(batch.position, self.complete.get(batch.partition, 0))

    async def _forget(self, batch: _Batch, user_id: str, offset: int) -> None:
        """Remove a user's events before ``offset``, and all of another log."""
        older = [{"offset": {"$lt": offset}}, {"_id": {"$not": {"$regex": f"^{batch.generation}/"}}}]
        before = {"user_id": user_id, "$or": older}
        await answered(self._database[ARCHIVE.name].delete_many(before), "forgetting events")
        # after the event itself is archived: whoever writes lists looks for it there once they are written
        await remove_lists(self._database, [user_id], batch.generation, offset)

    async def _forget_again(self, user_ids: set[str]) -> None:
        """Remove what a worker wrote that was paused since, although its user has forgotten all."""
        forgotten = self._database[ARCHIVE.name].find(
            {"user_id": {"$in": list(user_ids)}, "type": "forget"}, {"user_id": 1, "offset": 1}
        )
        for event in await answered(forgotten.to_list(None), "looking for what was forgotten"):
            same_log = {"$regex": f"^{event['_id'].split('/')[0]}/"}
            before = {"user_id": event["user_id"], "offset": {"$lt": event["offset"]}, "_id": same_log}
            await answered(self._database[ARCHIVE.name].delete_many(before), "forgetting events")

    async def _insert(self, documents: list[InsertOne[dict[str, Any]]]) -> None:
        try:
            await answered(
                self._database[ARCHIVE.name].bulk_write(documents, ordered=False), "archiving events"
            )
        except BulkWriteError as error:
            others = [e for e in error.details["writeErrors"] if e["code"] != DUPLICATE_KEY]
            if others or error.details.get("writeConcernErrors"):
                raise


def _place(batch: _Batch) -> str:
    return f"{batch.generation}/{batch.partition}"


def _batch(
    generation: str, partition: int, position: int, records: Sequence[Record], folded: Sequence[Folded]
) -> _Batch:
    applied = [
        (record, result)
        for record, result in zip(records, folded, strict=True)
        if result.outcome is Outcome.APPLIED
    ]
    return _Batch(
        generation,
        partition,
        records[0][0],
        position,
        [archived_event(generation, partition, record, result) for record, result in applied],
        {
            result.user_id: result.offset
            for _, result in applied
            if isinstance(result.event, events.Forget) and result.user_id
        },
        asyncio.get_running_loop().create_future(),
    )


def archived_event(generation: str, partition: int, record: Record, folded: Folded) -> dict[str, Any]:
    """Return the document of one applied event (``schemas.documents.ArchivedEvent``)."""
    event = folded.event
    assert isinstance(event, events.UserEvent)
    imported = isinstance(event, events.ImportedListens) and event.count > 0
    return {
        "_id": f"{generation}/{partition}/{folded.offset}",
        "user_id": folded.user_id,
        "partition": partition,
        "offset": folded.offset,
        "type": str(type(event).__struct_config__.tag),
        "track_id": getattr(event, "track_id", None),
        "server_time_ms": event.server_time_ms,
        "listen": imported or (isinstance(event, events.Play) and is_listen(event)),
        "event": record[2],
    }
