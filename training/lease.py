"""One training, or one run that makes lists, at a time: a lease in MongoDB that its holder renews."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from connections import leases
from connections.documents import Database
from schemas.errors import DocumentsUnavailable, Unavailable

LEASE = "training"
TERM_S = 30.0
_RENEW_S = 8.0
_POLL_S = 1.0


def training_lease(database: Database, on_wait: Callable[[], None]) -> AbstractAsyncContextManager[None]:
    """Hold the lease of trainings; wait while another process trains, publishes or prunes. See ``lease``."""
    return lease(database, LEASE, on_wait)


@asynccontextmanager
async def lease(
    database: Database, name: str, on_wait: Callable[[], None], *, renew_s: float = _RENEW_S
) -> AsyncIterator[None]:
    """Hold a lease; wait while another process has it.

    A holder that died lets it go after ``TERM_S``. One that could not renew it for so long (it was stopped,
    or MongoDB did not hear from it) ends what it does as soon as it learns that another one has it.

    Parameters
    ----------
    on_wait : called once before waiting
    renew_s : seconds between two renewals

    Raises
    ------
    DocumentsUnavailable
        MongoDB did not answer while the lease was taken.
    Unavailable
        The lease was lost.
    """
    holder = uuid.uuid4().hex
    await _taken(database, name, holder, on_wait)
    try:
        async with asyncio.timeout(None) as until_lost:

            def lost() -> None:
                until_lost.reschedule(asyncio.get_running_loop().time())

            renewing = asyncio.create_task(_renew(database, name, holder, renew_s, lost))
            try:
                yield
            finally:
                renewing.cancel()
                await asyncio.gather(renewing, return_exceptions=True)
                await leases.release(database, name, holder)
    except TimeoutError as error:
        if not until_lost.expired():
            raise
        raise Unavailable(
            f"the lease of {name} was not renewed for {TERM_S:g} s, so another process took it: what was "
            "done here is dropped; run it again"
        ) from error


async def _taken(database: Database, name: str, holder: str, on_wait: Callable[[], None]) -> None:
    waited = False
    while not await leases.take(database, name, holder, TERM_S):
        if not waited:
            on_wait()
            waited = True
        await asyncio.sleep(_POLL_S)


async def _renew(
    database: Database, name: str, holder: str, renew_s: float, lost: Callable[[], None]
) -> None:
    while True:
        await asyncio.sleep(renew_s)
        try:
            if not await leases.take(database, name, holder, TERM_S):
                return lost()
        except DocumentsUnavailable:
            pass  # the next turn tries again; publication itself is safe without the lease
