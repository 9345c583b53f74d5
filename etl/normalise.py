"""Standardise feature vectors: fitted once per catalogue, stored, and used for every later track."""

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from connections.documents import Database, answered
from schemas.documents import SCALERS, Scaler
from schemas.errors import InvalidInput

_LEAST_SCALE = 1e-9


@dataclass(frozen=True, slots=True)
class Standardisation:
    """``(raw - mean) / scale`` per feature.

    Attributes
    ----------
    scaler_id : SHA-256 of version, count, mean and scale
    version : definition of the vector
    count : vectors that it was fitted on
    mean, scale : float64 [features]; ``scale`` is 1 where the feature never varied
    """

    scaler_id: str
    version: str
    count: int
    mean: NDArray[np.float64]
    scale: NDArray[np.float64]

    def apply(self, raw: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return scaled vectors: float64 [..., features]."""
        scaled: NDArray[np.float64] = (raw - self.mean) / self.scale
        return scaled


def fit(version: str, raw: NDArray[np.float64]) -> Standardisation:
    """Return the standardisation of float64 [vectors, features].

    Raises
    ------
    InvalidInput
        No vector, or one that is not finite.
    """
    if raw.ndim != 2 or not len(raw):
        raise InvalidInput("a standardisation needs at least one feature vector")
    if not np.isfinite(raw).all():
        raise InvalidInput("a feature vector is not finite")
    mean = raw.mean(axis=0)
    scale = raw.std(axis=0)
    # rounding leaves a constant feature a deviation near 1e-16 of its size
    scale = np.where(scale > _LEAST_SCALE * np.maximum(1.0, np.abs(mean)), scale, 1.0)
    return _named(version, len(raw), mean, scale)


def _named(
    version: str, count: int, mean: NDArray[np.float64], scale: NDArray[np.float64]
) -> Standardisation:
    digest = hashlib.sha256(f"{version}\n{count}\n".encode())
    digest.update(mean.astype("<f8").tobytes())
    digest.update(scale.astype("<f8").tobytes())
    return Standardisation(digest.hexdigest(), version, count, mean, scale)


async def stored(database: Database, version: str) -> Standardisation | None:
    """Return the standardisation that the catalogue uses for ``version``, or None.

    Raises
    ------
    InvalidInput
        What is stored does not match its hash.
    """
    found = await answered(
        database[SCALERS.name].find_one({"version": version}, sort=[("_id", 1)]),
        "reading the scaler",
    )
    if found is None:
        return None
    scaler = _named(version, found["count"], np.asarray(found["mean"]), np.asarray(found["scale"]))
    if scaler.scaler_id != found["_id"]:
        raise InvalidInput(f"scaler {found['_id']} does not match its content: delete it and its features")
    return scaler


async def store(database: Database, scaler: Standardisation) -> None:
    """Store a standardisation; storing it twice changes nothing."""
    document = Scaler(
        _id=scaler.scaler_id,
        version=scaler.version,
        count=scaler.count,
        mean=scaler.mean.tolist(),
        scale=scaler.scale.tolist(),
    )
    await answered(
        database[SCALERS.name].update_one(
            {"_id": scaler.scaler_id},
            {"$setOnInsert": dict(document)},
            upsert=True,
        ),
        "storing the scaler",
    )
