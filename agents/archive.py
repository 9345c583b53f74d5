"""Applied events to MongoDB: the history page, charts and every refold of one user read them there."""

import asyncio
from collections.abc import Sequence
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
from schemas.errors import DocumentsUnavailable

_log = structlog.get_logger()
_RETRY_S = 1.0
_GATHER_S = 0.1  # nobody waits for the archive: what comes within this time is written at once


@dataclass(frozen=True, slots=True)
class _Batch:
    generation: str
    partition: int
    position: int
    documents: list[dict[str, Any]]
    forgotten: dict[str, int]  # user id -> offset of the event that forgets all before it
    written: asyncio.Future[None]


class Archive:
    """Writes what is submitted, oldest first, until MongoDB acknowledges it. Run ``run`` beside it.

    Writing the same event again changes nothing: its id is its place in the log.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
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
        documents = [
            archived_event(generation, partition, record, result)
            for record, result in zip(records, folded, strict=True)
            if result.outcome is Outcome.APPLIED
        ]
        forgotten = {
            result.user_id: result.offset
            for result in folded
            if result.outcome is Outcome.APPLIED
            and isinstance(result.event, events.Forget)
            and result.user_id
        }
        written: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Batch(generation, partition, position, documents, forgotten, written))
        self.behind += len(documents)
        self._arrived.set()
        return written

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
        documents = [InsertOne(document) for batch in batches for document in batch.documents]
        positions = {f"{batch.generation}/{batch.partition}": batch.position for batch in batches}
        try:
            if documents:
                await self._insert(documents)
            for batch in batches:
                for user_id, offset in batch.forgotten.items():
                    await self._forget(batch, user_id, offset)
            await answered(
                self._database[ARCHIVE_POSITIONS.name].bulk_write(
                    [
                        UpdateOne({"_id": where}, {"$max": {"offset": offset}}, upsert=True)
                        for where, offset in positions.items()
                    ],
                    ordered=False,
                ),
                "noting how far the archive is complete",
            )
        except DocumentsUnavailable as error:
            _log.warning("archive waits for MongoDB", behind=self.behind, error=str(error))
            return False
        return True

    async def _forget(self, batch: _Batch, user_id: str, offset: int) -> None:
        # a user's events all stand in one partition
        before = {"user_id": user_id, "partition": batch.partition, "offset": {"$lt": offset}}
        await answered(self._database[ARCHIVE.name].delete_many(before), "forgetting events")
        # after the event itself is archived: whoever writes lists looks for it there once they are written
        await remove_lists(self._database, [user_id], batch.generation, offset)

    async def _insert(self, documents: list[InsertOne[dict[str, Any]]]) -> None:
        try:
            await answered(
                self._database[ARCHIVE.name].bulk_write(documents, ordered=False), "archiving events"
            )
        except BulkWriteError as error:
            others = [e for e in error.details["writeErrors"] if e["code"] != DUPLICATE_KEY]
            if others or error.details.get("writeConcernErrors"):
                raise


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
