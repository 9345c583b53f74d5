"""Published and refused models: what ``models list|show|log|promote|rollback`` do."""

import re
from datetime import UTC, datetime
from typing import Any

from connections.documents import Database, answered, open_documents
from connections.model_store import served
from schemas.documents import MODELS, Pointer
from schemas.errors import InvalidInput
from schemas.settings import Settings
from training.decisions import asked_by_command
from training.lease import training_lease
from training.publication import promote, rollback

_ID = re.compile(r"[0-9a-f]{4,64}")


async def all_models(database: Database) -> list[dict[str, Any]]:
    """Return a short row per model, newest first."""
    pointer = await served(database)
    wanted = {"chunks": 0, "shapes": 0, "dtypes": 0}
    cursor = database[MODELS.name].find({}, wanted).sort([("seq", -1), ("_id", 1)])
    return [
        {
            "model_id": document["_id"],
            "seq": document["seq"],
            "state": document["state"],
            "reason": document["reason"],
            "served": pointer is not None and pointer["model_id"] == document["_id"],
            "rank": document["rank"],
            "items": document["items"],
            "snapshot_id": document["snapshot_id"],
            "ndcg_at_10": document["metrics"].get("model", {}).get("ndcg_at_10", {}).get("value"),
            "created": iso(document["created_ms"]),
        }
        for document in await answered(cursor.to_list(None), "listing models")
    ]


async def one_model(database: Database, beginning: str) -> dict[str, Any]:
    """Return the document of the one model whose id begins so.

    Raises
    ------
    InvalidInput
        Fewer than four hexadecimal digits, no such model, or more than one.
    """
    if not _ID.fullmatch(beginning):
        raise InvalidInput(f"{beginning!r} does not begin a model id: give four or more hexadecimal digits")
    cursor = database[MODELS.name].find({"_id": {"$regex": f"^{beginning}"}})
    found: list[dict[str, Any]] = await answered(cursor.to_list(2), "reading a model")
    if len(found) != 1:
        raise InvalidInput(f"{'no model' if not found else 'more than one model'} begins with {beginning}")
    return found[0]


async def promote_model(settings: Settings, beginning: str, because: str | None) -> Pointer:
    """Put a published model into service, no training or other promotion going on meanwhile."""
    async with open_documents(settings) as database:
        document = await one_model(database, beginning)
        async with training_lease(database, _nothing):
            asked = asked_by_command("models promote", because)
            return await promote(settings, database, document["_id"], asked)


async def roll_back(settings: Settings, because: str | None) -> Pointer:
    """Put the model before the served one into service, no training going on meanwhile."""
    async with open_documents(settings) as database, training_lease(database, _nothing):
        return await rollback(settings, database, asked_by_command("models rollback", because))


def iso(time_ms: int) -> str:
    """Return a time as it is printed, UTC."""
    return datetime.fromtimestamp(time_ms / 1000, UTC).isoformat(timespec="seconds")


def _nothing() -> None:
    """Waiting needs no word here."""
