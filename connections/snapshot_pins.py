"""Snapshots that are being read: a pin in MongoDB, renewed meanwhile, keeps one from being pruned."""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from connections.documents import Database, answered
from schemas.documents import SNAPSHOT_PINS, SnapshotPin
from schemas.errors import DocumentsUnavailable

TERM_S = 120.0
_RENEW_S = 30.0


@asynccontextmanager
async def pinned(database: Database, generation: str, snapshot_id: str) -> AsyncIterator[None]:
    """Keep a snapshot from being pruned; a pin whose process died ends after ``TERM_S``.

    Whoever pins looks afterwards whether the snapshot is still there: it may have gone just before.

    Raises
    ------
    DocumentsUnavailable
        MongoDB did not answer while the pin was set.
    """
    key = f"{snapshot_id}:{uuid.uuid4().hex}"
    await _pin(database, key, generation, snapshot_id)
    renewing = asyncio.create_task(_renew(database, key, generation, snapshot_id))
    try:
        yield
    finally:
        renewing.cancel()
        await asyncio.gather(renewing, return_exceptions=True)
        try:
            await answered(database[SNAPSHOT_PINS.name].delete_one({"_id": key}), "letting a snapshot go")
        except DocumentsUnavailable:
            pass  # the pin ends by itself


async def pinned_ids(database: Database, generation: str) -> set[str]:
    """Return the snapshots of a log that somebody reads.

    Raises
    ------
    DocumentsUnavailable
        MongoDB did not answer; then nothing may be pruned.
    """
    pins, now_ms = database[SNAPSHOT_PINS.name], time.time_ns() // 1_000_000
    await answered(pins.delete_many({"until_ms": {"$lt": now_ms}}), "removing old pins")
    found = pins.distinct("snapshot_id", {"generation": generation})
    return set(await answered(found, "reading which snapshots are in use"))


async def _pin(database: Database, key: str, generation: str, snapshot_id: str) -> None:
    until_ms = time.time_ns() // 1_000_000 + int(TERM_S * 1000)
    pin = SnapshotPin(_id=key, generation=generation, snapshot_id=snapshot_id, until_ms=until_ms)
    write = database[SNAPSHOT_PINS.name].replace_one({"_id": key}, pin, upsert=True)
    await answered(write, f"pinning snapshot {snapshot_id}")


async def _renew(database: Database, key: str, generation: str, snapshot_id: str) -> None:
    while True:
        await asyncio.sleep(_RENEW_S)
        try:
            await _pin(database, key, generation, snapshot_id)
        except DocumentsUnavailable:
            pass  # nothing is pruned without MongoDB; the next turn tries again
