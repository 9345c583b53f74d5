"""Tracks like another: by the factors of the served model, else by how they sound.

The model is read when it is first asked for, and followed from then on. While a newer one is read the older
one answers: two are in memory then, else one. A track that the model does not know, and every track as long
as there is none, is compared by its scaled audio features, read once for each version of the catalogue.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import structlog
from numpy.typing import NDArray

from connections.documents import Database
from connections.feature_store import scaled_features
from connections.model_store import load_model, served
from recommender.model import Model
from recommender.similar import similar
from schemas.errors import InvalidInput, InvalidModel

_POLL_S = 2.0
_MOST_NUMBERS = 2**24  # of features in memory: 64 MB, twice
_WIDEN = 4
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class SimilarTrack:
    """A track near another; ``by_sound`` where its place, or that of the other, comes from audio features."""

    track_id: int
    cosine: float
    by_sound: bool


class SimilarTracks:
    """Finds tracks like another; nothing is in memory before the first question."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._model: Model | None = None
        self._sounds: Model | None = None
        self._sounds_version: str | None = None
        self._refused: str | None = None
        self._looked_s = -_POLL_S
        self._reading = asyncio.Lock()
        self._reading_sounds = asyncio.Lock()

    async def near(
        self, track_id: int, count: int, version: str | None, stands: Callable[[int], bool]
    ) -> tuple[str | None, list[SimilarTrack]]:
        """Return the model's id, None without one, and up to ``count`` tracks, nearest first.

        Parameters
        ----------
        version : of the catalogue
        stands : whether a track may be in the answer

        Raises
        ------
        DocumentsUnavailable
            MongoDB did not answer, and what is needed is not in memory.
        """
        model = await self._newest_model()
        if model is not None and _row(model, track_id) >= 0:
            found = await asyncio.to_thread(_near, model, track_id, count, stands, heard=True)
            return model.model_id, found
        sounds = await self._newest_sounds(version)
        if sounds is None or _row(sounds, track_id) < 0:
            return None, []
        return None, await asyncio.to_thread(_near, sounds, track_id, count, stands, heard=False)

    async def _newest_model(self) -> Model | None:
        if self._model is not None and (self._reading.locked() or self._looked_lately()):
            return self._model
        async with self._reading:
            if not self._looked_lately():
                await self._follow()
            return self._model

    def _looked_lately(self) -> bool:
        return time.monotonic() - self._looked_s < _POLL_S

    async def _follow(self) -> None:
        pointer = await served(self._database)
        self._looked_s = time.monotonic()
        model_id = None if pointer is None else pointer["model_id"]
        held = None if self._model is None else self._model.model_id
        if model_id is None or model_id in (held, self._refused):
            return
        try:
            self._model = await load_model(self._database, model_id)
        except InvalidModel as error:
            self._refused = model_id
            _log.error("similar tracks: model refused", error=str(error))
        self._looked_s = time.monotonic()

    async def _newest_sounds(self, version: str | None) -> Model | None:
        async with self._reading_sounds:
            if version is not None and version != self._sounds_version:
                self._sounds = None
                track_ids, scaled = await self._features()
                if 0 < scaled.size <= _MOST_NUMBERS:
                    self._sounds = await asyncio.to_thread(_as_model, track_ids, scaled)
                self._sounds_version = version
            return self._sounds

    async def _features(self) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        try:
            return await scaled_features(self._database)
        except InvalidInput as error:
            _log.error("similar tracks: features refused", error=str(error))
            return np.empty(0, np.int64), np.empty((0, 0))


def _row(model: Model, track_id: int) -> int:
    return int(model.rows(np.array([track_id], np.int64))[0])


def _as_model(track_ids: NDArray[np.int64], scaled: NDArray[np.float64]) -> Model:
    ones = np.ones(len(track_ids), np.float32)
    return Model.build(
        "audio features", track_ids, scaled.astype(np.float32), ones > 0, ones, reg_param=1.0, alpha=1.0
    )


def _near(
    model: Model, track_id: int, count: int, stands: Callable[[int], bool], *, heard: bool
) -> list[SimilarTrack]:
    row, asked = _row(model, track_id), count
    while True:
        near = similar(model, row, asked)
        by_sound = ~(model.fitted[near.rows] & model.fitted[row]) | (not heard)
        those = zip(
            model.track_ids[near.rows].tolist(), near.cosines.tolist(), by_sound.tolist(), strict=True
        )
        found = [SimilarTrack(*one) for one in those if stands(one[0])]
        if len(found) >= count or len(near.rows) < asked:
            return found[:count]
        asked *= _WIDEN
