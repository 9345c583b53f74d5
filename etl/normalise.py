"""Standardise feature vectors: fitted once per catalogue and stored; a refit is a new revision.

A standardisation is one document and appears at once. Readers scale vectors themselves with the newest one
(``connections.feature_store``); ``carry_over`` brings ``scaled`` in the documents up to it afterwards, and
can be interrupted and repeated.
"""

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from pymongo import UpdateOne
from pymongo.errors import DuplicateKeyError

from connections.documents import Database, answered, ensure_indexes
from connections.feature_store import Standardisation, newest_scaler, raw_vectors, versions_stored
from etl.progress import meter
from schemas.documents import FEATURES, SCALERS, Scaler
from schemas.errors import InvalidInput

_LEAST_SCALE = 1e-9


@dataclass
class Moments:
    """Mean and variance of vectors that come in blocks.

    Source
    ------
    Chan, Golub, LeVeque 1979: updating formulae for pairs of samples. The same blocks in the same order
    give the same bits.
    """

    count: int = 0
    mean: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    squares: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))

    def add(self, block: NDArray[np.float64]) -> None:
        """Take in float64 [vectors, features].

        Raises
        ------
        InvalidInput
            A vector is not finite, or has another number of features than those before.
        """
        if not len(block):
            return
        if not np.isfinite(block).all():
            raise InvalidInput("a feature vector is not finite")
        if self.count and block.shape[1] != len(self.mean):
            raise InvalidInput(f"a feature vector has {block.shape[1]} numbers, others {len(self.mean)}")
        mean = block.mean(axis=0)
        squares = ((block - mean) ** 2).sum(axis=0)
        if not self.count:
            self.count, self.mean, self.squares = len(block), mean, squares
            return
        total = self.count + len(block)
        shift = mean - self.mean
        self.squares = self.squares + squares + shift**2 * (self.count * len(block) / total)
        self.mean = self.mean + shift * (len(block) / total)
        self.count = total

    def standardisation(self, version: str, revision: int) -> Standardisation:
        """Return what standardises these vectors.

        Raises
        ------
        InvalidInput
            There was no vector.
        """
        if not self.count:
            raise InvalidInput("a standardisation needs at least one feature vector")
        deviation = np.sqrt(self.squares / self.count)
        # rounding leaves a constant feature a deviation near 1e-16 of its size
        varies = deviation > _LEAST_SCALE * np.maximum(1.0, np.abs(self.mean))
        scale = np.where(varies, deviation, 1.0)
        return Standardisation.named(version, revision, self.count, self.mean, scale)


@dataclass
class RefitReport:
    """What a refit did; ``new`` is False when the stored numbers were those of the vectors already."""

    version: str
    revision: int
    new: bool
    features: int
    rescaled: int
    scaler_id: str
    seconds: float


def fit(version: str, raw: NDArray[np.float64], revision: int = 1) -> Standardisation:
    """Return the standardisation of float64 [vectors, features].

    Raises
    ------
    InvalidInput
        No vector, or one that is not finite.
    """
    moments = Moments()
    moments.add(raw)
    return moments.standardisation(version, revision)


def _unseen(_: int) -> None:
    """Nobody wants to know."""


async def moments_of(
    database: Database,
    version: str,
    track_ids: Collection[int] | None = None,
    seen: Callable[[int], None] = _unseen,
) -> Moments:
    """Return the moments of the stored vectors of a definition, of these tracks or of all.

    ``seen`` is called with the number of vectors read.
    """
    where = None if track_ids is None else {"_id": {"$in": sorted(track_ids)}}
    moments = Moments()
    async for _, raw in raw_vectors(database, version, where):
        moments.add(raw)
        seen(len(raw))
    return moments


async def store(database: Database, scaler: Standardisation) -> Standardisation:
    """Store a standardisation and return the one of its revision: a program that was faster wins."""
    document = Scaler(
        _id=scaler.scaler_id,
        version=scaler.version,
        revision=scaler.revision,
        count=scaler.count,
        mean=scaler.mean.tolist(),
        scale=scaler.scale.tolist(),
        created_ms=time.time_ns() // 1_000_000,
    )
    try:
        await answered(database[SCALERS.name].insert_one(dict(document)), "storing the scaler")
    except DuplicateKeyError:
        newest = await newest_scaler(database, scaler.version)
        assert newest is not None, "an index admits one scaler per revision, so there is one"
        return newest
    return scaler


async def carry_over(
    database: Database, scaler: Standardisation, seen: Callable[[int], None] = _unseen
) -> int:
    """Scale the documents that this standardisation has not scaled; return their number.

    ``seen`` is called with the number of documents looked at.
    """
    scaled = 0
    behind = {"scaler_id": {"$ne": scaler.scaler_id}}
    async for ids, raw in raw_vectors(database, scaler.version, behind):
        if raw.shape[1] != len(scaler.mean):
            continue
        operations = [
            UpdateOne(
                # one that another program wrote meanwhile with this standardisation is right already
                {"_id": track_id, "version": scaler.version, **behind},
                {"$set": {"scaled": vector.tolist(), "scaler_id": scaler.scaler_id}},
            )
            for track_id, vector in zip(ids.tolist(), scaler.apply(raw), strict=True)
        ]
        written = database[FEATURES.name].bulk_write(operations, ordered=False)
        scaled += (await answered(written, "writing features")).modified_count
        seen(len(operations))
    return scaled


async def refit(database: Database) -> RefitReport:
    """Fit the standardisation anew on all stored vectors of the definition in use, and carry it over.

    Equal numbers make no new revision: so a refit that was interrupted is completed by the next.

    Raises
    ------
    InvalidInput
        There are no features.
    """
    started = time.monotonic()
    await ensure_indexes(database)
    versions = await versions_stored(database)
    if not versions:
        raise InvalidInput("there are no audio features to fit to: load some with `segue etl run`")
    version = next(iter(versions))
    try:
        newest = await newest_scaler(database, version)
    except InvalidInput:
        newest = None  # it is damaged: the next revision takes its place
    revision = await _last_revision(database, version)
    with meter("fitting", versions[version]) as progress:
        moments = await moments_of(database, version, seen=progress.advance)
    wanted = moments.standardisation(version, revision)
    new = newest is None or newest.scaler_id != wanted.scaler_id
    if new:
        wanted = await store(database, moments.standardisation(version, revision + 1))
    with meter("scaling", versions[version]) as progress:
        rescaled = await carry_over(database, wanted, progress.advance)
    return RefitReport(
        version=version,
        revision=wanted.revision,
        new=new,
        features=versions[version],
        rescaled=rescaled,
        scaler_id=wanted.scaler_id,
        seconds=round(time.monotonic() - started, 2),
    )


async def _last_revision(database: Database, version: str) -> int:
    """Return the newest revision, 0 without one; what it holds may be damaged."""
    found = await answered(
        database[SCALERS.name].find_one({"version": version}, {"revision": 1}, sort=[("revision", -1)]),
        "reading the scaler",
    )
    return 0 if found is None else int(found.get("revision", 0))
