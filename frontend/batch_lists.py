"""How far the lists in MongoDB reach, so that they are read only for whom they can be newer."""

import asyncio

import structlog

from connections.documents import Database
from connections.list_store import newest_build
from schemas.errors import DocumentsUnavailable

_POLL_S = 5.0
_log = structlog.get_logger()


class BatchLists:
    """Follows the newest build of everybody's lists; while MongoDB is away, none is known."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._generation: str | None = None
        self._offsets: dict[int, int] = {}

    def newer_than(self, generation: str, partition: int, offset: int) -> bool:
        """Say whether a list in MongoDB can be newer than one that reflects ``offset`` of ``partition``."""
        return generation == self._generation and self._offsets.get(partition, -1) > offset

    async def keep_fresh(self) -> None:
        """Look every few seconds until cancelled."""
        while True:
            await self.refresh()
            await asyncio.sleep(_POLL_S)

    async def refresh(self) -> None:
        """Look once."""
        try:
            build = await newest_build(self._database)
        except DocumentsUnavailable as error:
            _log.warning("how far the lists in MongoDB reach is not known", reason=str(error))
            build = None
        self._generation = build["generation"] if build else None
        offsets = build["offsets"] if build else {}
        self._offsets = {int(partition): offset for partition, offset in offsets.items()}
