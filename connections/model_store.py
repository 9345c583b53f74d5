"""Models in MongoDB: arrays as binary chunks, one document per model, and the pointer to the served one.

Publication is ``save_model`` (chunks first, then the document) and then ``move_pointer``. Killed anywhere in
between it leaves chunks or a document that nothing points to; every write can be repeated.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, cast

from numpy.typing import NDArray
from pymongo import ReturnDocument
from pymongo.errors import DuplicateKeyError

from connections.documents import Database, answered
from connections.model_chunks import chunks_of, load_array, majority, repeated, replace
from recommender.model import ARRAY_DTYPES, Arrays, Model, model_digest
from schemas.documents import (
    MODEL_CHUNKS,
    MODEL_REPORTS,
    MODELS,
    POINTERS,
    Decision,
    ModelDocument,
    Pointer,
)
from schemas.errors import InvalidModel

_POINTER, _SEQUENCE, _STAND_IN = "model", "model-seq", "stand-in/"


async def save_model(database: Database, document: Mapping[str, Any], arrays: Arrays) -> None:
    """Store a model so that it can be served: chunks, then its document. Can be repeated.

    Parameters
    ----------
    document : a ``ModelDocument``; ``items``, ``chunks``, ``shapes``, ``dtypes``, ``state`` and ``reason``
        are filled in here
    arrays : as ``recommender.model.canonical_arrays`` makes them

    Raises
    ------
    InvalidModel
        ``_id`` is not the digest of arrays and parameters.
    DocumentsUnavailable
        MongoDB did not answer; what was written does no harm.
    """
    model_id = str(document["_id"])
    if await asyncio.to_thread(model_digest, arrays, document) != model_id:
        raise InvalidModel(f"model {model_id}: the id is not the digest of its arrays and parameters")
    chunks = await asyncio.to_thread(chunks_of, arrays)
    for chunk in chunks:
        stored = {"_id": chunk.key(model_id), "model_id": model_id, "data": chunk.data}
        await replace(database, MODEL_CHUNKS, stored)
    complete = dict(document) | {
        "items": len(arrays["track_ids"]),
        "chunks": {name: [c.sha256 for c in chunks if c.array == name] for name in ARRAY_DTYPES},
        "shapes": {name: list(arrays[name].shape) for name in ARRAY_DTYPES},
        "dtypes": dict(ARRAY_DTYPES),
        "state": "published",
        "reason": None,
    }
    await replace(database, MODELS, complete)


async def refuse_model(database: Database, document: Mapping[str, Any], reason: str) -> None:
    """Leave the document of a refused model and why; a published model of that id stays published.

    Raises
    ------
    DocumentsUnavailable
        MongoDB did not answer.
    """
    refused = {"chunks": {}, "shapes": {}, "dtypes": {}} | dict(document)
    refused |= {"state": "refused", "reason": reason}
    unless_published = {"_id": refused["_id"], "state": {"$ne": "published"}}
    models = majority(database, MODELS)

    async def write() -> None:
        try:
            await models.replace_one(unless_published, refused, upsert=True)
        except DuplicateKeyError:
            pass  # the same factors are published: what is in service is not touched

    await repeated(write, f"refusing model {refused['_id']}")


async def load_model(database: Database, model_id: str, *, generation: str | None = None) -> Model:
    """Return a published model after checking every chunk and the whole against their SHA-256.

    Parameters
    ----------
    generation : the log that the model must have been made from; None: any

    Raises
    ------
    InvalidModel
        The model is missing, refused, of another log, incomplete or corrupt; the message names the part.
    DocumentsUnavailable
        MongoDB did not answer.
    """
    document = await model_document(database, model_id)
    if document is None or document["state"] != "published":
        found = "missing" if document is None else f"{document['state']}: {document.get('reason')}"
        raise InvalidModel(f"model {model_id} cannot be served: it is {found}")
    if generation not in (None, document["generation"]):
        raise InvalidModel(f"model {model_id} was made from log {document['generation']}, not {generation}")
    arrays = {name: await load_array(database, document, name) for name in ARRAY_DTYPES}
    return await asyncio.to_thread(_checked, document, arrays)


async def model_document(database: Database, model_id: str) -> ModelDocument | None:
    """Return the document of a model, None if there is none.

    Raises
    ------
    DocumentsUnavailable
        MongoDB did not answer.
    """
    models = majority(database, MODELS)
    found = await answered(models.find_one({"_id": model_id}), f"reading model {model_id}")
    return cast(ModelDocument | None, found)


async def next_seq(database: Database) -> int:
    """Return a number greater than every one returned before, and than every one in use. Atomic.

    Raises
    ------
    DocumentsUnavailable
        MongoDB did not answer; a number may be lost, which does no harm.
    """
    newest = await answered(
        majority(database, MODELS).find_one({}, {"seq": 1}, sort=[("seq", -1)]), "reading the newest model"
    )
    pointer = await served(database)
    floor = max(newest["seq"] if newest else 0, pointer["seq"] if pointer else 0)
    counted = await answered(
        majority(database, POINTERS).find_one_and_update(
            {"_id": _SEQUENCE},
            [{"$set": {"seq": {"$add": [{"$max": ["$seq", floor]}, 1]}}}],
            upsert=True,
            return_document=ReturnDocument.AFTER,
        ),
        "taking the next model number",
    )
    return int(counted["seq"])


async def move_pointer(database: Database, model_id: str, seq: int, decision: Decision | None = None) -> bool:
    """Point to ``model_id`` if ``seq`` is greater than the pointer's; say whether it now points there so.

    Parameters
    ----------
    decision : kept with the pointer, so that no kill separates a model in service from the reason for it

    Raises
    ------
    InvalidModel
        The model is not published.
    DocumentsUnavailable
        MongoDB did not answer; repeating the call settles it.
    """
    document = await model_document(database, model_id)
    if document is None or document["state"] != "published":
        raise InvalidModel(f"model {model_id} is not published: the pointer stays")
    moved = {
        "seq": seq,
        "model_id": model_id,
        "updated_ms": time.time_ns() // 1_000_000,
        "decision": decision,
    }
    move = majority(database, POINTERS).update_one(
        {"_id": _POINTER, "seq": {"$lt": seq}}, {"$set": moved}, upsert=True
    )
    try:
        await answered(move, f"moving the pointer to model {model_id}")
    except DuplicateKeyError:
        # the pointer stands at this seq or a greater one: ours only if this is a repeated call
        pointer = await served(database)
        return pointer is not None and (pointer["seq"], pointer["model_id"]) == (seq, model_id)
    return True


async def served(database: Database) -> Pointer | None:
    """Return the pointer to the served model, None before the first.

    Raises
    ------
    DocumentsUnavailable
        MongoDB did not answer.
    """
    pointers = majority(database, POINTERS)
    found = await answered(pointers.find_one({"_id": _POINTER}), "reading the pointer to the served model")
    return cast(Pointer | None, found)


async def note_stand_in(database: Database, generation: str, model_id: str) -> None:
    """Note the model that serves while the active one cannot, for workers that never held it.

    Raises
    ------
    DocumentsUnavailable
        MongoDB did not answer; the one noted before stays.
    """
    noted = {"model_id": model_id, "updated_ms": time.time_ns() // 1_000_000}
    update = majority(database, POINTERS).update_one(
        {"_id": _STAND_IN + generation}, {"$set": noted}, upsert=True
    )
    await answered(update, f"noting the stand-in {model_id}")


async def stand_in(database: Database, generation: str) -> str | None:
    """Return the model that was noted last by ``note_stand_in``.

    Raises
    ------
    DocumentsUnavailable
        MongoDB did not answer.
    """
    found = await answered(
        majority(database, POINTERS).find_one({"_id": _STAND_IN + generation}), "reading the stand-in"
    )
    return None if found is None else str(found["model_id"])


async def prune_models(
    database: Database,
    keep: int,
    note: Callable[[Sequence[Mapping[str, Any]]], Awaitable[None]] | None = None,
) -> list[str]:
    """Remove all but the newest ``keep`` published and refused models; return the ids removed.

    The served model and the stand-ins always stay. Chunks without a document, left by a publication that was
    killed, go too: so only the process that publishes may call this, between publications.

    Parameters
    ----------
    keep : at least 1, published and refused models counted apart
    note : called with the documents (``_id``, ``state``, ``seq``) before they go; may be called again with
        the same ones after a kill

    Raises
    ------
    DocumentsUnavailable
        MongoDB did not answer; calling again goes on.
    """
    if keep < 1:
        raise ValueError(f"keep is {keep}, must be at least 1")
    models, chunks = majority(database, MODELS), majority(database, MODEL_CHUNKS)
    pointers = majority(database, POINTERS).find({"model_id": {"$exists": True}})
    staying = {
        pointer["model_id"] for pointer in await answered(pointers.to_list(None), "reading the pointers")
    }
    cursor = models.find({}, {"state": 1, "seq": 1}).sort([("seq", -1), ("_id", 1)])
    known = await answered(cursor.to_list(None), "listing models")
    for state in ("published", "refused"):
        staying |= {document["_id"] for document in [d for d in known if d["state"] == state][:keep]}
    leaving = [document for document in known if document["_id"] not in staying]
    removed = [document["_id"] for document in leaving]
    if leaving and note is not None:
        await note(leaving)
    # documents first: a document without chunks would look like a corrupt model
    await answered(models.delete_many({"_id": {"$in": removed}}), "removing old models")
    reports = majority(database, MODEL_REPORTS).delete_many({"_id": {"$nin": sorted(staying)}})
    await answered(reports, "removing reports of old models")
    gone = {"model_id": {"$nin": sorted(staying)}}
    await answered(chunks.delete_many(gone), "removing chunks of old models")
    return removed


def _checked(document: ModelDocument, arrays: dict[str, NDArray[Any]]) -> Model:
    model_id = document["_id"]
    if model_digest(arrays, document) != model_id:
        raise InvalidModel(f"model {model_id}: arrays and parameters do not give that digest")
    return Model.build(
        model_id,
        arrays["track_ids"],
        arrays["item_factors"],
        arrays["fitted"],
        arrays["popularity"],
        document["reg_param"],
        document["alpha"],
    )
