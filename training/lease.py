"""One training, or one run that makes lists, at a time: a lease in MongoDB that its holder renews."""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from pymongo.errors import DuplicateKeyError

from connections.documents import Database, answered
from schemas.documents import LEASES
from schemas.errors import DocumentsUnavailable

LEASE = "training"
TERM_S = 30.0
_RENEW_S = 8.0
_POLL_S = 1.0


def training_lease(database: Database, on_wait: Callable[[], None]) -> AbstractAsyncContextManager[None]:
    """Hold the lease of trainings; wait while another process trains, publishes or prunes. See ``lease``."""
    return lease(database, LEASE, on_wait)


@asynccontextmanager
async def lease(database: Database, name: str, on_wait: Callable[[], None]) -> AsyncIterator[None]:
    """Hold a lease; wait while another process has it.

    A holder that died lets it go after ``TERM_S``. ``on_wait`` is called once before waiting.

    Raises
    ------
    DocumentsUnavailable
        MongoDB did not answer while the lease was taken.
    """
    holder = uuid.uuid4().hex
    waited = False
    while not await _take(database, name, holder):
        if not waited:
            on_wait()
            waited = True
        await asyncio.sleep(_POLL_S)
    renewing = asyncio.create_task(_renew(database, name, holder))
    try:
        yield
    finally:
        renewing.cancel()
        await asyncio.gather(renewing, return_exceptions=True)
        await _release(database, name, holder)


async def _take(database: Database, name: str, holder: str) -> bool:
    now_ms = time.time() * 1000
    free_or_mine = {"_id": name, "$or": [{"until_ms": {"$lt": now_ms}}, {"holder": holder}]}
    taken = {"$set": {"holder": holder, "until_ms": int(now_ms + TERM_S * 1000)}}
    try:
        await answered(
            database[LEASES.name].update_one(free_or_mine, taken, upsert=True), f"taking the lease of {name}"
        )
    except DuplicateKeyError:
        return False
    return True


async def _renew(database: Database, name: str, holder: str) -> None:
    while True:
        await asyncio.sleep(_RENEW_S)
        try:
            await _take(database, name, holder)
        except DocumentsUnavailable:
            pass  # the next turn tries again; publication itself is safe without the lease


async def _release(database: Database, name: str, holder: str) -> None:
    try:
        await answered(
            database[LEASES.name].delete_one({"_id": name, "holder": holder}), "letting the lease go"
        )
    except DocumentsUnavailable:
        pass  # it ends by itself
