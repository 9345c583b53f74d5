"""What lists are ranked with: the catalogue, the charts, and the active model of each partition."""

import asyncio
from collections.abc import Awaitable, Callable

import numpy as np
import structlog

from connections.documents import Database, answered
from connections.model_store import load_model
from recommender.catalogue import Catalogue, Charts
from recommender.history import genre_key
from recommender.model import Model
from recommender.partition import PartitionState
from schemas.documents import CATALOGUE, CHARTS, TRACKS
from schemas.errors import DocumentsUnavailable, InvalidModel

_log = structlog.get_logger()
_POLL_S = 2.0
_MODELS_HELD = 2


class Serving:
    """Holds the newest catalogue and charts, and the models in use. Run ``run`` beside it.

    A model that cannot be loaded leaves the one before it in service and is tried again; an invalid one is
    not. ``model_loaded`` is awaited when a model has come after its activation.
    """

    def __init__(self, database: Database, model_loaded: Callable[[str], Awaitable[None]]) -> None:
        self._database = database
        self._model_loaded = model_loaded
        self._models: dict[str, Model] = {}
        self._wanted: set[str] = set()
        self._invalid: set[str] = set()
        self._served: dict[int, str] = {}
        self.catalogue = Catalogue("", np.empty(0, np.int64), np.empty(0, np.int64))
        self.charts = Charts.empty()

    def model(self, state: PartitionState) -> Model | None:
        """Return the partition's active model, or the one served before while that is not to be had."""
        model_id = state.model_id
        if model_id in self._models:
            self._served[state.partition] = model_id
        elif model_id is not None and model_id not in self._invalid:
            self._wanted.add(model_id)
        return self._models.get(self._served.get(state.partition, ""))

    def served(self, partition: int) -> str | None:
        """Return the model that ranks a partition's lists, None while charts do."""
        return self._served.get(partition)

    async def want(self, model_id: str | None) -> bool:
        """Load a model that is not held yet; return whether it is held now."""
        if model_id is None or model_id in self._invalid:
            return False
        if model_id in self._models:
            return True
        try:
            model = await load_model(self._database, model_id)
        except InvalidModel as error:
            self.refuse(model_id, error)
            return False
        except DocumentsUnavailable as error:
            self._wanted.add(model_id)
            _log.warning("model waits for MongoDB", model_id=model_id, error=str(error))
            return False
        self._models[model_id] = model
        self._wanted.discard(model_id)
        self._drop_unserved(model_id)
        _log.info("model is held", model_id=model_id, tracks=len(model.track_ids), rank=model.rank)
        return True

    def refuse(self, model_id: str, error: InvalidModel) -> None:
        """Never use this model; the one before, or the charts, serve in its place."""
        self._invalid.add(model_id)
        self._models.pop(model_id, None)
        self._served = {p: served for p, served in self._served.items() if served != model_id}
        _log.error("model refused, the one before stays in service", error=str(error))

    async def run(self) -> None:
        """Follow catalogue and charts, and load what is wanted, for as long as the worker lives."""
        while True:
            try:
                await self.refresh()
            except DocumentsUnavailable as error:
                _log.warning("catalogue and charts wait for MongoDB", error=str(error))
            for model_id in sorted(self._wanted):
                if await self.want(model_id):
                    await self._model_loaded(model_id)
            await asyncio.sleep(_POLL_S)

    async def refresh(self) -> None:
        """Read the catalogue if its version changed, and the newest charts."""
        state = await answered(
            self._database[CATALOGUE.name].find_one({"_id": "catalogue"}), "reading the catalogue"
        )
        if state is not None and state["version"] != self.catalogue.version:
            self.catalogue = await _read_catalogue(self._database, state["version"])
            _log.info("catalogue is held", version=state["version"], tracks=len(self.catalogue.track_ids))
        newest = await answered(
            self._database[CHARTS.name].find_one(sort=[("created_ms", -1)]), "reading the charts"
        )
        if newest is not None and newest["_id"] != self.charts.charts_id:
            self.charts = Charts(
                newest["_id"],
                np.array([item["track_id"] for item in newest["items"]], np.int64),
                np.array([item["count"] for item in newest["items"]], np.int64),
            )

    def _drop_unserved(self, newest: str) -> None:
        spare = [one for one in self._models if one != newest and one not in self._served.values()]
        for model_id in spare[: max(0, len(self._models) - _MODELS_HELD)]:
            del self._models[model_id]


async def _read_catalogue(database: Database, version: str) -> Catalogue:
    cursor = database[TRACKS.name].find({}, {"artist_id": 1, "genres": 1}).sort("_id", 1)
    tracks = await answered(cursor.to_list(None), "reading the tracks")
    genres = [
        (genre_key(genre), row) for row, track in enumerate(tracks) for genre in track.get("genres") or ()
    ]
    keys, rows = zip(*genres, strict=True) if genres else ((), ())
    return Catalogue(
        version,
        np.array([track["_id"] for track in tracks], np.int64),
        np.array([track["artist_id"] for track in tracks], np.int64),
        np.array(keys, np.uint32),
        np.array(rows, np.int64),
    )
