"""Putting a model into service: documents, pointer, then ``Activate`` in every partition.

Killed between two of these steps, nothing is half served. Before the pointer moves, the old model is the
served one. After it, the model is whole, and ``finish_activation`` repeats the activation: workers take the
record with the greatest ``seq`` and meet a repeated one without effect.
"""

import time
from collections.abc import Mapping
from typing import Any

import stamina

from connections.documents import Database, answered
from connections.log_writer import LogWriter
from connections.model_store import load_model, model_document, move_pointer, next_seq, save_model, served
from recommender.model import Arrays
from schemas import events
from schemas.documents import MODELS, POINTERS, Pointer
from schemas.errors import InvalidInput, InvalidModel, LogUnavailable
from schemas.settings import Settings
from training.decisions import PROMOTED, PUBLISHED, ROLLED_BACK, Asked, decision, record
from training.inputs import log_generation

ACTIVATED = "activated"
_ATTEMPTS = 5


async def publish(
    settings: Settings,
    database: Database,
    document: dict[str, Any],
    arrays: Arrays,
    asked: Asked,
    reason: str = "passed the gate",
) -> Pointer:
    """Store a model and put it into service.

    Parameters
    ----------
    document : a ``ModelDocument`` without ``seq``, which is given here
    asked : who wants it, and why

    Raises
    ------
    InvalidModel
        The arrays are not those of the id, or another model was put into service meanwhile.
    DocumentsUnavailable, LogUnavailable
        The next start finishes what the pointer says, see ``finish_activation``.
    """
    seq = await next_seq(database)
    await save_model(database, document | {"seq": seq}, arrays)
    return await _point_to(settings, database, document, seq, (PUBLISHED, reason), asked)


async def promote(
    settings: Settings, database: Database, model_id: str, asked: Asked, kind: str = PROMOTED
) -> Pointer:
    """Put a published model into service again after checking every one of its bytes.

    Raises
    ------
    InvalidModel
        It is missing, refused, corrupt or of another log, whose workers would refuse it.
    """
    document = await model_document(database, model_id) or {"_id": model_id}
    generation = await log_generation(settings)
    seq = await next_seq(database)
    return await _point_to(settings, database, document, seq, (kind, asked.because), asked, generation)


async def rollback(settings: Settings, database: Database, asked: Asked) -> Pointer:
    """Put the model that was published before the served one into service.

    Raises
    ------
    InvalidInput
        There is none.
    """
    pointer = await served(database)
    models = database[MODELS.name]
    current = await model_document(database, pointer["model_id"]) if pointer else None
    if current is None:
        raise InvalidInput("no model is in service, so there is nothing to roll back")
    older = {"state": "published", "seq": {"$lt": current["seq"]}}
    before = await answered(models.find_one(older, sort=[("seq", -1)]), "reading models")
    if before is None:
        raise InvalidInput(f"no model was published before {current['_id'][:12]}")
    return await promote(settings, database, before["_id"], asked, ROLLED_BACK)


async def finish_activation(settings: Settings, database: Database) -> bool:
    """Repeat the activation of the served model if it may not stand in every partition; say whether.

    Raises
    ------
    DocumentsUnavailable, LogUnavailable
        Try again later.
    """
    pointer = await served(database)
    if pointer is None:
        return False
    await _note(database, pointer)
    done = await answered(database[POINTERS.name].find_one({"_id": ACTIVATED}), "reading the activation")
    if done is not None and done["seq"] >= pointer["seq"]:
        return False
    await _activate(settings, database, pointer)
    return True


async def _point_to(
    settings: Settings,
    database: Database,
    document: Mapping[str, Any],
    seq: int,
    verdict: tuple[str, str],
    asked: Asked,
    generation: str | None = None,
) -> Pointer:
    """Check every byte of a model, and its log if that is given, then point to it and activate it.

    A model may lie there damaged; and a process that lost its lease may have had its chunks removed.
    """
    model_id = str(document["_id"])
    await load_model(database, model_id, generation=generation)
    before = await served(database)
    decided = decision(
        f"served:{seq}", *verdict, asked, document, before=before["model_id"] if before else None, seq=seq
    )
    if not await move_pointer(database, model_id, seq, decided):
        raise InvalidModel(f"model {model_id[:12]}: a newer one was put into service meanwhile")
    pointer = Pointer(_id="model", seq=seq, model_id=model_id, updated_ms=decided["at_ms"], decision=decided)
    await _note(database, pointer)
    await _activate(settings, database, pointer)
    return pointer


async def _note(database: Database, pointer: Pointer) -> None:
    """Note what moved the pointer; a kill right after the move is made up for by the next start."""
    decided = pointer.get("decision")
    if decided is not None:
        await record(database, decided)


async def _activate(settings: Settings, database: Database, pointer: Pointer) -> None:
    """Append ``Activate`` to every partition, then note that it stands there."""
    record = events.Activate(
        model_id=pointer["model_id"], seq=pointer["seq"], server_time_ms=time.time_ns() // 1_000_000
    )
    async for attempt in stamina.retry_context(on=LogUnavailable, attempts=_ATTEMPTS, wait_max=5.0):
        with attempt:
            async with LogWriter(settings) as writer:
                await writer.append_control(record)
    noted = {name: value for name, value in pointer.items() if name != "decision"} | {"_id": ACTIVATED}
    await answered(
        database[POINTERS.name].replace_one({"_id": ACTIVATED}, noted, upsert=True), "noting the activation"
    )
