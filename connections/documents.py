"""MongoDB through Motor. A later move to PyMongo's ``AsyncMongoClient`` touches this file alone."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import stamina
from motor.motor_asyncio import AsyncIOMotorClient, AsyncIOMotorClientSession, AsyncIOMotorDatabase
from pymongo import WriteConcern
from pymongo.errors import ConnectionFailure, CursorNotFound, OperationFailure, PyMongoError, WTimeoutError
from pymongo.read_concern import ReadConcern

from schemas.documents import COLLECTIONS
from schemas.errors import DocumentsUnavailable
from schemas.settings import Settings

T = TypeVar("T")
Database = AsyncIOMotorDatabase[dict[str, Any]]
Session = AsyncIOMotorClientSession
SELECTION_TIMEOUT_MS = 3_000
DUPLICATE_KEY = 11_000
_TRANSACTION_ENDS_S = 5.0
NETWORK_ERRORS: tuple[type[PyMongoError], ...] = (ConnectionFailure, CursorNotFound, WTimeoutError)


@asynccontextmanager
async def open_documents(settings: Settings) -> AsyncIterator[Database]:
    """Yield the database. Does not wait for a server: the first operation does.

    Writes are majority acknowledged whatever the URL says.
    """
    client: AsyncIOMotorClient[dict[str, Any]] = AsyncIOMotorClient(
        settings.mongodb_address,
        serverSelectionTimeoutMS=SELECTION_TIMEOUT_MS,
        connectTimeoutMS=SELECTION_TIMEOUT_MS,
        socketTimeoutMS=20_000,
        w="majority",
        tz_aware=True,
        appname="segue",
    )
    try:
        yield client[settings.mongodb_database]
    finally:
        client.close()


async def ensure_indexes(database: Database) -> None:
    """Create what ``schemas.documents`` declares; existing indexes stay."""
    for collection in COLLECTIONS:
        for keys, options in collection.indexes:
            await database[collection.name].create_index(list(keys), **options)


async def answered(operation: Awaitable[T], doing: str) -> T:
    """Await one operation and name an outage.

    Raises
    ------
    DocumentsUnavailable
        MongoDB did not answer in time; the outcome of a write is then not known.
    """
    try:
        return await operation
    except NETWORK_ERRORS as error:
        raise DocumentsUnavailable(f"MongoDB did not answer while {doing}: {error}") from error


async def in_transaction(database: Database, work: Callable[[Session], Awaitable[T]], doing: str) -> T:
    """Await ``work`` in one transaction: all that it writes with its session is there, or nothing of it.

    Tried once. What it reads is of one moment; it fails if another transaction has since changed what it
    writes. Who is cancelled waits for its end: Motor's threads go on with an operation whose future was
    cancelled, and one that has not begun would be written outside the transaction that was given up.

    Raises
    ------
    DocumentsUnavailable
        MongoDB did not answer, or another transaction came first; whether it was written is then not known.
    """
    task = asyncio.ensure_future(_in_transaction(database, work, doing))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task}, timeout=_TRANSACTION_ENDS_S)
        if task.done() and not task.cancelled():
            task.exception()  # nobody is left who could act on it
        raise


async def _in_transaction(database: Database, work: Callable[[Session], Awaitable[T]], doing: str) -> T:
    try:
        async with (
            await answered(database.client.start_session(), doing) as session,
            session.start_transaction(ReadConcern("snapshot"), WriteConcern("majority")),
        ):
            return await work(session)
    except NETWORK_ERRORS as error:
        raise DocumentsUnavailable(f"MongoDB did not answer while {doing}: {error}") from error
    except OperationFailure as error:
        if not error.has_error_label("TransientTransactionError"):
            raise
        raise DocumentsUnavailable(f"MongoDB gave up {doing}: {error}") from error


async def wait_until_writable(database: Database, timeout_s: float = 30.0) -> None:
    """Return when the replica set has a primary that takes majority writes.

    Raises
    ------
    DocumentsUnavailable
        Not within ``timeout_s``.
    """
    try:
        async for attempt in stamina.retry_context(
            on=PyMongoError, timeout=timeout_s, attempts=None, wait_max=1.0
        ):
            with attempt:
                await database["leases"].update_one(
                    {"_id": "start"}, {"$set": {"holder": "start", "until_ms": 0}}, upsert=True
                )
    except PyMongoError as error:
        raise DocumentsUnavailable(f"MongoDB is not writable: {error}") from error
