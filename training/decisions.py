"""What was decided about models, by whom and why: ``decisions`` in MongoDB, one document each."""

import getpass
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from connections.documents import Database, answered
from connections.model_chunks import majority, repeated
from schemas.documents import DECISIONS, Decision

PUBLISHED, PROMOTED, ROLLED_BACK = "published", "promoted", "rolled back"
REFUSED, PRUNED = "refused", "pruned"


@dataclass(frozen=True)
class Asked:
    """Who wants something of a model, and why.

    Attributes
    ----------
    actor : "trainer", or a name and the command that was called
    because : one sentence
    """

    actor: str
    because: str


def asked_by_command(command: str, because: str | None = None) -> Asked:
    """Return who called ``segue <command>`` in this process; ``because`` as given, or that it was asked."""
    try:
        name = getpass.getuser()
    except (OSError, KeyError):
        name = "unknown user"  # a container may run under a number that has no name
    return Asked(f"{name} by segue {command}", because or "asked for by command")


def decision(
    key: str,
    kind: str,
    reason: str,
    asked: Asked,
    document: Mapping[str, Any],
    *,
    before: str | None = None,
    seq: int | None = None,
) -> Decision:
    """Return a decision of this moment.

    Parameters
    ----------
    key : what was decided; the same one is recorded once
    document : of the model, as far as there is one: ``_id``, ``snapshot_id``, ``training_id``
    """
    return Decision(
        _id=key,
        kind=kind,
        model_id=document.get("_id"),
        before=before,
        seq=seq,
        reason=reason,
        because=asked.because,
        actor=asked.actor,
        snapshot_id=document.get("snapshot_id"),
        training_id=document.get("training_id"),
        at_ms=time.time_ns() // 1_000_000,
    )


async def record(database: Database, decided: Decision) -> None:
    """Write a decision unless it is there already.

    Raises
    ------
    DocumentsUnavailable
        MongoDB did not answer.
    """
    decisions = majority(database, DECISIONS)
    key, fields = {"_id": decided["_id"]}, {name: decided[name] for name in decided if name != "_id"}  # type: ignore[literal-required]
    await repeated(
        lambda: decisions.update_one(key, {"$setOnInsert": fields}, upsert=True),
        f"recording the decision {decided['_id']}",
    )


async def record_refusal(database: Database, reason: str, asked: Asked, document: Mapping[str, Any]) -> None:
    """Record that a training led to no model in service.

    Parameters
    ----------
    document : with ``seq`` where a model was made; without, one refusal per training and moment
    """
    number = document.get("seq") or f"{document['training_id'][:16]}:{time.time_ns() // 1_000_000}"
    await record(database, decision(f"refused:{number}", REFUSED, reason, asked, document))


async def record_pruning(
    database: Database, keep: int, asked: Asked, documents: Sequence[Mapping[str, Any]]
) -> None:
    """Record that old models go."""
    for one in documents:
        reason = f"more than {keep} newer {one['state']} models; not in service"
        key = f"pruned:{one['_id']}:{one['seq']}"
        await record(database, decision(key, PRUNED, reason, asked, one))


async def decisions_about(database: Database, model_id: str | None, limit: int) -> list[Decision]:
    """Return the newest decisions, newest first; ``model_id`` None: about any model.

    Raises
    ------
    DocumentsUnavailable
        MongoDB did not answer.
    """
    which: dict[str, Any] = {} if model_id is None else {"model_id": model_id}
    cursor = database[DECISIONS.name].find(which).sort([("at_ms", -1), ("_id", -1)]).limit(limit)
    return cast(list[Decision], await answered(cursor.to_list(limit), "reading decisions"))
