"""Arrays of a model as binary chunk documents of at most 4 MiB, each with its SHA-256."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, TypeVar

import numpy as np
import stamina
from motor.motor_asyncio import AsyncIOMotorCollection
from numpy.typing import NDArray
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern

from connections.documents import Database, answered
from recommender.model import ARRAY_DTYPES, Arrays
from schemas.documents import MODEL_CHUNKS, Collection, ModelDocument
from schemas.errors import DocumentsUnavailable, InvalidModel

T = TypeVar("T")
CHUNK_BYTES = 4 * 2**20
_ATTEMPTS = 3


@dataclass(frozen=True, slots=True)
class Chunk:
    """One chunk: bytes ``number * CHUNK_BYTES`` and on of an array."""

    array: str
    number: int
    sha256: str
    data: bytes

    def key(self, model_id: str) -> str:
        """Return the ``_id`` of the chunk's document."""
        return _chunk_key(model_id, self.array, self.number)


def majority(database: Database, collection: Collection) -> AsyncIOMotorCollection[dict[str, Any]]:
    """Return a collection whose reads and writes are those of the majority, journaled."""
    return database[collection.name].with_options(
        read_concern=ReadConcern("majority"), write_concern=WriteConcern("majority", j=True)
    )


async def replace(database: Database, collection: Collection, document: dict[str, Any]) -> None:
    """Write a whole document under its ``_id``; repeated a bounded number of times.

    Raises
    ------
    DocumentsUnavailable
        MongoDB did not answer.
    """
    key = {"_id": document["_id"]}
    target = majority(database, collection)
    await repeated(
        lambda: target.replace_one(key, document, upsert=True), f"storing {collection.name}/{document['_id']}"
    )


async def repeated(write: Callable[[], Awaitable[T]], doing: str) -> T:
    """Await a write that can be repeated, a bounded number of times."""
    async for attempt in stamina.retry_context(on=DocumentsUnavailable, attempts=_ATTEMPTS, wait_max=1.0):
        with attempt:
            return await answered(write(), doing)
    raise AssertionError("stamina returns or raises")


def chunks_of(arrays: Arrays) -> list[Chunk]:
    """Cut the arrays of ``ARRAY_DTYPES`` into chunks, in order."""
    found = []
    for name, dtype in ARRAY_DTYPES.items():
        data = np.ascontiguousarray(arrays[name], dtype=dtype).tobytes()
        for number, start in enumerate(range(0, len(data), CHUNK_BYTES)):
            part = data[start : start + CHUNK_BYTES]
            found.append(Chunk(name, number, sha256(part).hexdigest(), part))
    return found


def _chunk_key(model_id: str, array: str, number: int) -> str:
    return f"{model_id}:{array}:{number}"


async def load_array(database: Database, document: ModelDocument, name: str) -> NDArray[Any]:
    """Return one array of a model, each chunk checked.

    Raises
    ------
    InvalidModel
        A chunk is missing or corrupt, or the size does not fit the shape.
    DocumentsUnavailable
        MongoDB did not answer.
    """
    model_id = document["_id"]
    chunks = majority(database, MODEL_CHUNKS)
    parts = []
    for number, expected in enumerate(document["chunks"].get(name, [])):
        key = _chunk_key(model_id, name, number)
        chunk = await answered(chunks.find_one({"_id": key}), f"reading {key}")
        if chunk is None:
            raise InvalidModel(f"model {model_id}: chunk {name}:{number} is missing")
        if (await asyncio.to_thread(sha256, chunk["data"])).hexdigest() != expected:
            raise InvalidModel(f"model {model_id}: chunk {name}:{number} is corrupt")
        parts.append(chunk["data"])
    try:
        return np.frombuffer(b"".join(parts), ARRAY_DTYPES[name]).reshape(document["shapes"][name])
    except (KeyError, ValueError) as error:
        raise InvalidModel(f"model {model_id}: the size of {name} does not fit its shape: {error}") from error
