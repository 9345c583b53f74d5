"""Audio features as readers see them: of one definition, scaled by its newest standardisation.

Vectors are stored as extracted, and each reader scales them itself. So what is read is consistent at any
moment: while a new standardisation is being carried over to the documents, and after a kill in the middle.
"""

import hashlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from connections.documents import Database, answered
from schemas.documents import FEATURES, PRECOMPUTED, SCALERS
from schemas.errors import InvalidInput

_BATCH = 1_000


@dataclass(frozen=True, slots=True)
class Standardisation:
    """``(raw - mean) / scale`` per feature.

    Attributes
    ----------
    scaler_id : SHA-256 of version, revision, count, mean and scale
    version : definition of the vector
    revision : 1, 2, ...: each fit of a definition is the next
    count : vectors that it was fitted on
    mean, scale : float64 [features]; ``scale`` is 1 where the feature never varied
    """

    scaler_id: str
    version: str
    revision: int
    count: int
    mean: NDArray[np.float64]
    scale: NDArray[np.float64]

    @staticmethod
    def named(
        version: str, revision: int, count: int, mean: NDArray[np.float64], scale: NDArray[np.float64]
    ) -> "Standardisation":
        """Return a standardisation under the hash of its content."""
        digest = hashlib.sha256(f"{version}\n{revision}\n{count}\n".encode())
        digest.update(mean.astype("<f8").tobytes())
        digest.update(scale.astype("<f8").tobytes())
        return Standardisation(digest.hexdigest(), version, revision, count, mean, scale)

    def apply(self, raw: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return scaled vectors: float64 [..., features]."""
        scaled: NDArray[np.float64] = (raw - self.mean) / self.scale
        return scaled


async def newest_scaler(database: Database, version: str) -> Standardisation | None:
    """Return the newest standardisation of ``version``, or None.

    Raises
    ------
    InvalidInput
        What is stored does not match its hash.
    """
    found = await answered(
        database[SCALERS.name].find_one({"version": version}, sort=[("revision", -1), ("_id", 1)]),
        "reading the scaler",
    )
    return None if found is None else _checked(found)


def _checked(found: Mapping[str, Any]) -> Standardisation:
    mean, scale = np.asarray(found["mean"], np.float64), np.asarray(found["scale"], np.float64)
    scaler = Standardisation.named(found["version"], found.get("revision", 0), found["count"], mean, scale)
    if scaler.scaler_id != found["_id"]:
        raise InvalidInput(f"scaler {found['_id']} does not match its content: run `segue etl refit`")
    return scaler


async def versions_stored(database: Database) -> dict[str, int]:
    """Return the number of feature vectors of each definition, the one in use first.

    In use is the definition of most vectors; of equally many, one made from files here comes before one
    that came as a table, and then the greater name.
    """
    cursor = database[FEATURES.name].aggregate([{"$group": {"_id": "$version", "n": {"$sum": 1}}}])
    counts = {each["_id"]: each["n"] for each in await answered(cursor.to_list(None), "counting features")}
    ordered = sorted(counts, key=lambda version: (counts[version], *_rank(version)), reverse=True)
    return {version: counts[version] for version in ordered}


def _rank(version: str) -> tuple[bool, str]:
    return not version.startswith(PRECOMPUTED), version


async def raw_vectors(
    database: Database, version: str, where: Mapping[str, Any] | None = None
) -> AsyncIterator[tuple[NDArray[np.int64], NDArray[np.float64]]]:
    """Yield the stored vectors of a definition by ascending track id, a thousand at a time.

    Parameters
    ----------
    where : a further condition on the documents

    Yields
    ------
    track ids, int64 [n]; vectors as extracted, float64 [n, features]. A vector whose length differs from
    that of the first is left out.
    """
    last: int | None = None
    width: int | None = None
    while True:
        # page by id: what is read may be written meanwhile, and no cursor waits at the server
        after = {} if last is None else {"_id": {"$gt": last}}
        query = {"$and": [{"version": version}, dict(where or {}), after]}
        cursor = database[FEATURES.name].find(query, {"raw": 1}).sort("_id", 1).limit(_BATCH)
        found = await answered(cursor.to_list(_BATCH), "reading audio features")
        if not found:
            return
        last = found[-1]["_id"]
        width = len(found[0]["raw"]) if width is None else width
        same = [each for each in found if len(each["raw"]) == width]
        ids = np.array([each["_id"] for each in same], np.int64)
        yield ids, np.array([each["raw"] for each in same], np.float64).reshape(len(same), width)


class VectorDigest:
    """SHA-256 over a definition, its track ids and vectors, in blocks by ascending id."""

    def __init__(self, version: str) -> None:
        self._digest = hashlib.sha256(f"{version}\n".encode())

    def add(self, track_ids: NDArray[np.int64], raw: NDArray[np.float64]) -> None:
        """Take in int64 [n] and float64 [n, features]: how they are cut into blocks changes nothing."""
        block = np.column_stack((track_ids.astype("<i8").view("<f8"), raw.astype("<f8")))
        self._digest.update(np.ascontiguousarray(block).tobytes())

    def name(self) -> str:
        """Return 64 hexadecimal digits."""
        return self._digest.hexdigest()


@dataclass(frozen=True, slots=True)
class StoredVectors:
    """What is stored of the definition in use.

    Attributes
    ----------
    width : features of a vector
    count : vectors of that width
    digest : ``VectorDigest`` of them
    """

    version: str
    width: int
    count: int
    digest: str


async def stored_vectors(database: Database) -> StoredVectors | None:
    """Return the identity of the vectors in use, None where none are stored.

    Raises
    ------
    DocumentsUnavailable
        MongoDB did not answer.
    """
    for version in await versions_stored(database):
        digest, width, count = VectorDigest(version), 0, 0
        async for track_ids, raw in raw_vectors(database, version):
            digest.add(track_ids, raw)
            width, count = raw.shape[1], count + len(raw)
        if width:
            return StoredVectors(version, width, count, digest.name())
    return None


async def scaled_features(database: Database) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the features of the catalogue: one definition, one standardisation.

    Returns
    -------
    track ids, int64 [t], ascending; scaled vectors, float64 [t, features], finite. Both empty as long as
    no standardisation is fitted.

    Raises
    ------
    InvalidInput
        The stored standardisation does not match its hash.
    """
    for version in await versions_stored(database):
        scaler = await newest_scaler(database, version)
        if scaler is None:
            continue  # its first load is not so far yet
        blocks = [
            (ids, scaler.apply(raw))
            async for ids, raw in raw_vectors(database, version)
            if raw.shape[1] == len(scaler.mean)
        ]
        if blocks:
            ids = np.concatenate([block for block, _ in blocks])
            scaled = np.concatenate([block for _, block in blocks])
            finite = np.isfinite(scaled).all(axis=1)
            return ids[finite], scaled[finite]
    return np.empty(0, np.int64), np.empty((0, 0))
