"""Audio features for the report: a sample of tracks, drawn by hash, that memory can hold."""

import hashlib
import heapq
import itertools
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from connections.documents import Database, answered
from connections.feature_store import Standardisation, newest_scaler, versions_stored
from schemas.documents import FEATURES, TRACKS

SAMPLED = 5_000
_IDS = 20_000
_VECTORS = 500
NO_GENRE = "no genre"


@dataclass(frozen=True, slots=True)
class Sample:
    """Standardised features of some tracks.

    Attributes
    ----------
    version : definition of the vector
    names : of the features
    revision : of the scaler
    tracks : tracks that have features of this definition
    vectors : float64 [sampled, features], finite
    genres : top genre of each sampled track
    unusable : sampled vectors left out: of another length, or not finite
    """

    version: str
    names: list[str]
    revision: int
    tracks: int
    vectors: NDArray[np.float64]
    genres: list[str]
    unusable: int


async def read_sample(
    database: Database, tree: Mapping[str, list[str]], most: int = SAMPLED
) -> Sample | None:
    """Return the features of at most ``most`` tracks, or None as long as no standardisation is fitted.

    Parameters
    ----------
    tree : path from the root down to a genre, by its title

    Raises
    ------
    InvalidInput
        The stored standardisation does not match its hash.
    """
    for version, tracks in (await versions_stored(database)).items():
        scaler = await newest_scaler(database, version)
        if scaler is not None:
            return await _read(database, scaler, tracks, tree, most)
    return None


async def _read(
    database: Database, scaler: Standardisation, tracks: int, tree: Mapping[str, list[str]], most: int
) -> Sample:
    version, width = scaler.version, len(scaler.mean)
    ids = await _drawn(database, version, most)
    kept: list[int] = []
    rows: list[NDArray[np.float64]] = []
    for start in range(0, len(ids), _VECTORS):
        where = {"_id": {"$in": ids[start : start + _VECTORS]}, "version": version}
        cursor = database[FEATURES.name].find(where, {"raw": 1}).sort("_id", 1)
        for document in await answered(cursor.to_list(None), "reading features"):
            raw = np.asarray(document["raw"], np.float64)
            if len(raw) == width and np.isfinite(raw).all():
                kept.append(document["_id"])
                rows.append(scaler.apply(raw))
    return Sample(
        version=version,
        names=await _names(database, version, width),
        revision=scaler.revision,
        tracks=tracks,
        vectors=np.array(rows).reshape(len(rows), width),
        genres=await _top_genres(database, kept, tree),
        unusable=len(ids) - len(kept),
    )


async def _drawn(database: Database, version: str, most: int) -> list[int]:
    """Return the ids with the smallest hashes, ascending: the same tracks at every run."""

    def position(track_id: int) -> bytes:
        return hashlib.blake2b(track_id.to_bytes(8, "big", signed=True), digest_size=8).digest()

    cursor = database[FEATURES.name].find({"version": version}, {"_id": 1}, batch_size=_IDS)
    drawn: list[int] = []
    while batch := await answered(cursor.to_list(_IDS), "reading features"):
        ids = (document["_id"] for document in batch)
        drawn = heapq.nsmallest(most, itertools.chain(drawn, ids), key=position)
    return sorted(drawn)


async def _names(database: Database, version: str, width: int) -> list[str]:
    where = {"version": version, "names": {"$size": width}}
    found = await answered(
        database[FEATURES.name].find_one(where, {"names": 1}, sort=[("_id", 1)]), "reading features"
    )
    return found["names"] if found else [f"feature_{number}" for number in range(width)]


async def _top_genres(database: Database, ids: list[int], tree: Mapping[str, list[str]]) -> list[str]:
    """Return the root of each track's first genre; without a tree, its first genre."""
    tops: dict[int, str] = {}
    for start in range(0, len(ids), _IDS):
        cursor = database[TRACKS.name].find({"_id": {"$in": ids[start : start + _IDS]}}, {"genres": 1})
        for track in await answered(cursor.to_list(None), "reading the catalogue"):
            first = next(iter(track.get("genres") or ()), None)
            if first is not None:
                tops[track["_id"]] = tree.get(first, [first])[0]
    return [tops.get(track_id, NO_GENRE) for track_id in ids]
