"""One user's events out of the archive, newest first, page by page.

A page ends at a place in the order (server time, offset). Events that come meanwhile are newer and stand
before it, so pages that follow are what they would have been without them.
"""

import base64
import binascii
import struct
from typing import Any, NamedTuple, Self

from connections.documents import Database, answered
from schemas.documents import ARCHIVE

_VERSION = 1
_LAYOUT = struct.Struct(">BQQ")
_NEWEST_FIRST = [("server_time_ms", -1), ("offset", -1)]
_LIKES = 2_000


class Place(NamedTuple):
    """Where a page ended: the next one holds what stands behind it."""

    server_time_ms: int
    offset: int

    @classmethod
    def read(cls, cursor: str) -> Self:
        """Return the place of a cursor.

        Raises
        ------
        ValueError
            It is none of ours.
        """
        try:
            version, *place = _LAYOUT.unpack(base64.b64decode(cursor.encode() + b"=", b"-_", validate=True))
        except (binascii.Error, struct.error, UnicodeError) as error:
            raise ValueError("not a cursor") from error
        found = cls(*place)
        if version != _VERSION or max(found) >= 2**63 or found.cursor != cursor:
            raise ValueError("not a cursor")
        return found

    @property
    def cursor(self) -> str:
        """The place as clients carry it: 23 characters that say nothing to them."""
        packed = _LAYOUT.pack(_VERSION, *self)
        return base64.urlsafe_b64encode(packed).decode().rstrip("=")


class History:
    """Reads what users did. Every query names one user, and walks an index in its order."""

    def __init__(self, database: Database) -> None:
        self._archive = database[ARCHIVE.name]

    def query(
        self, user_id: str, limit: int, *, after: Place | None = None, before_ms: int | None = None
    ) -> Any:
        """Return the cursor of MongoDB over up to ``limit`` events of a user.

        Parameters
        ----------
        after : only what stands behind this place
        before_ms : only events of an earlier server time
        """
        wanted: dict[str, Any] = {"user_id": user_id}
        if after is not None:
            wanted["server_time_ms"] = {"$lte": after.server_time_ms}
            wanted["$or"] = [
                {"server_time_ms": {"$lt": after.server_time_ms}},
                {"offset": {"$lt": after.offset}},
            ]
        elif before_ms is not None:
            wanted["server_time_ms"] = {"$lt": before_ms}
        return self._archive.find(wanted).sort(_NEWEST_FIRST).limit(limit)

    async def page(
        self, user_id: str, limit: int, *, after: Place | None = None, before_ms: int | None = None
    ) -> tuple[list[dict[str, Any]], Place | None]:
        """Return a page of archived events, and the place behind which more stand: None on the last page.

        Raises
        ------
        DocumentsUnavailable
            MongoDB did not answer.
        """
        query = self.query(user_id, limit + 1, after=after, before_ms=before_ms)
        found = await answered(query.to_list(limit + 1), "reading the history")
        page = found[:limit]
        if len(found) == len(page):
            return page, None
        return page, Place(int(page[-1]["server_time_ms"]), int(page[-1]["offset"]))

    async def liked(self, user_id: str) -> list[int]:
        """Return the tracks that a user likes, from the newest 2,000 likes and unlikes.

        Raises
        ------
        DocumentsUnavailable
            MongoDB did not answer.
        """
        query = (
            self._archive.find(
                {"user_id": user_id, "type": {"$in": ["like", "unlike"]}}, {"type": 1, "track_id": 1}
            )
            .sort(_NEWEST_FIRST)
            .limit(_LIKES)
        )
        found = await answered(query.to_list(_LIKES), "reading the likes")
        state = {int(document["track_id"]): document["type"] for document in reversed(found)}
        return [track_id for track_id, kind in state.items() if kind == "like"]
