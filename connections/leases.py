"""One holder at a time: a document in ``leases`` that is taken when it is free or its time is over."""

import time

from pymongo.errors import DuplicateKeyError

from connections.documents import Database, answered
from schemas.documents import LEASES
from schemas.errors import DocumentsUnavailable


async def take(database: Database, name: str, holder: str, seconds: float) -> bool:
    """Take or renew a lease; return whether ``holder`` has it now.

    Raises
    ------
    DocumentsUnavailable
        MongoDB did not answer; then nobody may act as the holder.
    """
    now_ms = time.time_ns() // 1_000_000
    free = {"$or": [{"holder": holder}, {"until_ms": {"$lt": now_ms}}]}
    held = {"$set": {"holder": holder, "until_ms": now_ms + int(seconds * 1000)}}
    try:
        await answered(
            database[LEASES.name].update_one({"_id": name, **free}, held, upsert=True), f"taking {name}"
        )
    except DuplicateKeyError:
        return False
    return True


async def release(database: Database, name: str, holder: str) -> None:
    """Let a lease go if ``holder`` has it; without MongoDB it ends by itself."""
    mine = database[LEASES.name].delete_one({"_id": name, "holder": holder})
    try:
        await answered(mine, f"letting {name} go")
    except DocumentsUnavailable:
        pass
