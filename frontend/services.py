"""What the routes work with, opened and closed in one place."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, cast

import stamina
from quart import current_app

from connections.documents import Database, answered, ensure_indexes, open_documents
from connections.feed_reader import TopicTail
from connections.steady_writer import SteadyWriter
from frontend.accounts import Accounts
from frontend.batch_lists import BatchLists
from frontend.catalogue import Catalogue
from frontend.history import History
from frontend.identity import Identities
from frontend.impressions import Impressions
from frontend.lists import NewestLists
from frontend.login_limits import FREE_FAILURES_OF_ADDRESS, Bucket, LoginLimits
from frontend.metrics import Metrics
from frontend.repair import Repair
from frontend.similar import SimilarTracks
from schemas.errors import DocumentsUnavailable
from schemas.settings import Settings
from schemas.topics import RECOMMENDATIONS

EXTENSION = "segue"
_ACCOUNTS_AT_ONCE = 500
_ACCOUNTS_PER_S = 5.0


@dataclass
class Services:
    """The parts of one web process; ``failure`` is done when one of its background tasks has ended."""

    settings: Settings
    database: Database
    writer: SteadyWriter
    accounts: Accounts
    identities: Identities
    catalogue: Catalogue
    history: History
    lists: NewestLists
    batch_lists: BatchLists
    tail: TopicTail
    impressions: Impressions
    similar: SimilarTracks
    metrics: Metrics
    failure: asyncio.Future[None]
    name_limits: LoginLimits = field(default_factory=LoginLimits)
    address_limits: LoginLimits = field(default_factory=lambda: LoginLimits(free=FREE_FAILURES_OF_ADDRESS))
    new_accounts: Bucket = field(
        default_factory=lambda: Bucket(burst=_ACCOUNTS_AT_ONCE, per_s=_ACCOUNTS_PER_S)
    )
    indexed: asyncio.Event = field(default_factory=asyncio.Event)

    async def ready(self) -> dict[str, bool]:
        """Return whether plays are accepted and whether lists flow."""
        plays = self.tail.generation is not None and await self.writer.ping()
        return {"plays": plays, "lists": plays and self.tail.caught_up}


def services() -> Services:
    """Return the services of the current application."""
    return cast(Services, current_app.extensions[EXTENSION])


@asynccontextmanager
async def open_services(settings: Settings) -> AsyncIterator[Services]:
    """Yield the services; neither Kafka nor MongoDB need to be there yet."""
    metrics = Metrics()
    lists = NewestLists(metrics)
    async with (
        open_documents(settings) as database,
        SteadyWriter(settings, timeout_s=settings.intake_timeout_s) as writer,
    ):
        accounts = Accounts(database)
        opened = Services(
            settings=settings,
            database=database,
            writer=writer,
            accounts=accounts,
            identities=Identities(accounts),
            catalogue=Catalogue(database),
            history=History(database),
            lists=lists,
            batch_lists=BatchLists(database),
            tail=TopicTail(settings, RECOMMENDATIONS, lists.take_in),
            impressions=Impressions(writer, metrics),
            similar=SimilarTracks(database),
            metrics=metrics,
            failure=asyncio.get_running_loop().create_future(),
        )
        tasks = [
            _watched(opened, opened.tail.run()),
            _watched(opened, opened.catalogue.keep_fresh()),
            _watched(opened, opened.batch_lists.keep_fresh()),
            _watched(opened, opened.impressions.write()),
            _watched(opened, Repair(lists, opened.tail, writer).run()),
            _watched(opened, _ensure_indexes(opened)),
        ]
        try:
            yield opened
        finally:
            lists.close()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            if opened.failure.done():
                opened.failure.exception()
            else:
                opened.failure.cancel()


def _watched(opened: Services, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
    def ended(task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None and not opened.failure.done():
            opened.failure.set_exception(error)

    task = asyncio.create_task(work)
    task.add_done_callback(ended)
    return task


async def _ensure_indexes(opened: Services) -> None:
    async for attempt in stamina.retry_context(
        on=DocumentsUnavailable, attempts=None, timeout=None, wait_initial=0.2, wait_max=5.0
    ):
        with attempt:
            await answered(ensure_indexes(opened.database), "creating indexes")
    opened.indexed.set()
