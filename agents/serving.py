"""What lists are ranked with: the catalogue, the charts, and the active model of each partition."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from weakref import WeakSet

import structlog

from agents.ranking.ranker import Ranker
from connections.catalogue_reader import catalogue_version, newest_charts, read_catalogue
from connections.documents import Database
from connections.model_store import load_model, note_stand_in, stand_in
from recommender.catalogue import Catalogue, Charts
from recommender.model import Model
from recommender.partition import PartitionState
from schemas.errors import DocumentsUnavailable, InvalidModel

_log = structlog.get_logger()
_POLL_S = 2.0
_LOOK_S = 0.01
_LET_GO_S = 30.0  # lists that are asked for end long before


class Serving:
    """Has the ranking processes hold catalogue, charts, and the models in use. Run ``run`` beside it.

    A model that cannot be loaded leaves the one before it in service and is tried again; an invalid one is
    not. Which one that is, is noted in MongoDB: a worker that begins later finds it there. Two models are in
    memory at most: before one is loaded, all but the one that serves are let go.

    Parameters
    ----------
    ranker : is told what to rank with
    model_loaded : awaited when a model has come after its activation
    generation : the log's name; models of another log are refused

    Attributes
    ----------
    looked : set when catalogue and charts were read once; until then no list is made, which would be empty
    waiting_for : name of what is away and waited for, None while nothing is
    """

    def __init__(
        self,
        database: Database,
        ranker: Ranker,
        model_loaded: Callable[[str], Awaitable[None]],
        generation: str = "",
    ) -> None:
        self._database = database
        self._ranker = ranker
        self._generation = generation
        self._model_loaded = model_loaded
        self._models: dict[str, Model] = {}
        self._alive: WeakSet[Model] = WeakSet()
        self._superseded: set[str] = set()
        self._switch: tuple[str, asyncio.Task[bool]] | None = None
        self._wanted: set[str] = set()
        self._invalid: set[str] = set()
        self._served: dict[int, str] = {}
        self._prepared: set[int] = set()
        self._loading = asyncio.Lock()
        self._stand_in: str | None = None
        self._noted: str | None = None
        self._stand_in_due = False
        self.looked = asyncio.Event()
        self.waiting_for: str | None = None
        self.catalogue = Catalogue.empty()
        self.charts = Charts.empty()

    def known_catalogue(self) -> Catalogue | None:
        """Return the catalogue, None while nobody knows what is in it."""
        return self.catalogue if self.looked.is_set() else None

    def model(self, state: PartitionState) -> Model | None:
        """Return the partition's active model, or the one served before while that is not to be had."""
        model_id = state.model_id
        if model_id in self._models:
            self._served[state.partition] = model_id
        elif model_id in self._invalid:
            if state.partition not in self._served and self._stand_in is not None:
                self._served[state.partition] = self._stand_in
        elif model_id is not None and not (model_id in self._superseded or self._comes(model_id)):
            self._wanted.add(model_id)
        return self._models.get(self._served.get(state.partition, ""))

    def served(self, partition: int) -> str | None:
        """Return the model that ranks a partition's lists, None while charts do."""
        return self._served.get(partition)

    async def prepare(self, state: PartitionState) -> None:
        """Load the active model of a partition that has just come, before its first list; try once.

        The first list also waits for a model that became active just before, however long it takes: nothing
        serves yet, and a worker that begins again after a bad model would answer by charts.
        """
        if state.partition not in self._served:
            if self._switch is not None and self._comes(state.model_id):
                if state.partition not in self._prepared:
                    await asyncio.wait({self._switch[1]})
            elif state.model_id not in self._wanted:
                await self.want(state.model_id)
        self._prepared.add(state.partition)

    @property
    def models_alive(self) -> int:
        """Number of models in memory, whoever holds them, here or in the ranking processes."""
        return max(len(self._alive), self._ranker.models_alive)

    def switch(self, model_id: str) -> asyncio.Task[bool]:
        """Begin to load a model that became active; what serves goes on until it is held.

        Returns
        -------
        The loading; its result says whether the model is held
        """
        self._superseded.discard(model_id)
        settled = model_id in self._models or model_id in self._wanted
        if self._switch is None or self._switch[0] != model_id or not (settled or self._comes(model_id)):
            self._switch = (model_id, asyncio.create_task(self.want(model_id)))
        return self._switch[1]

    def _comes(self, model_id: str | None) -> bool:
        """Return whether a model that became active is being loaded."""
        return self._switch is not None and self._switch[0] == model_id and not self._switch[1].done()

    async def want(self, model_id: str | None) -> bool:
        """Load a model that is not held yet; return whether it is held now."""
        async with self._loading:
            return await self._want(model_id)

    async def _want(self, model_id: str | None) -> bool:
        if model_id is None or model_id in self._invalid:
            return False
        if model_id in self._models:
            return True
        await self._note_stand_in()
        await self._make_room()
        try:
            model = await self._ranker.hold(
                await load_model(self._database, model_id, generation=self._generation or None)
            )
        except InvalidModel as error:
            self.refuse(model_id, error)
            await self._hold_stand_in()
            return False
        except DocumentsUnavailable as error:
            self._wanted.add(model_id)
            _log.warning("model waits for MongoDB", model_id=model_id, error=str(error))
            return False
        self._hold(model)
        self._wanted.discard(model_id)
        _log.info("model is held", model_id=model_id, tracks=len(model.track_ids), rank=model.rank)
        return True

    def refused(self, model_id: str) -> bool:
        """Return whether a model is never used."""
        return model_id in self._invalid

    def refuse(self, model_id: str, error: InvalidModel) -> None:
        """Never use this model; the one before, or the charts, serve in its place."""
        if model_id in self._invalid:
            return  # ranking of several partitions may find it at the same time
        self._invalid.add(model_id)
        self._wanted.discard(model_id)
        self._models.pop(model_id, None)
        before = next(reversed(self._models), None)
        for partition in [p for p, served in self._served.items() if served == model_id]:
            if before is None:
                del self._served[partition]
            else:
                self._served[partition] = before
        self._stand_in_due = self._stand_in is None
        _log.error("model refused, the one before stays in service", model_id=model_id, error=str(error))

    async def _note_stand_in(self) -> None:
        """Note what serves now: it goes on if the model that comes cannot be served."""
        held = [model_id for model_id in self._models if model_id in self._served.values()]
        if not held or held[-1] == self._noted:
            return
        self._stand_in = held[-1]
        try:
            await note_stand_in(self._database, self._generation, held[-1])
            self._noted = held[-1]
        except DocumentsUnavailable as error:
            _log.warning("the stand-in is not noted", error=str(error))

    async def _hold_stand_in(self) -> None:
        """Hold the model that served before a refused one, if this worker began since and never held it."""
        if not self._stand_in_due:
            return
        try:
            model_id = await stand_in(self._database, self._generation)
            if model_id is not None and model_id not in self._invalid:
                await self._make_room()
                self._hold(await self._ranker.hold(await load_model(self._database, model_id)))
                self._stand_in = model_id
                _log.info("a stand-in is held", model_id=model_id)
        except DocumentsUnavailable as error:
            _log.warning("the stand-in waits for MongoDB", error=str(error))
            return
        except InvalidModel as error:
            _log.error("the stand-in is refused", error=str(error))
        self._stand_in_due = False

    async def run(self) -> None:
        """Follow catalogue and charts, and load what is wanted, for as long as the worker lives."""
        while True:
            try:
                await self.refresh()
                self.waiting_for = None
                self.looked.set()
            except DocumentsUnavailable as error:
                self.waiting_for = None if self.looked.is_set() else "MongoDB"
                _log.warning("catalogue and charts wait for MongoDB", error=str(error))
            async with self._loading:
                await self._hold_stand_in()
            for model_id in sorted(self._wanted):
                if await self.want(model_id):
                    await self._model_loaded(model_id)
            await asyncio.sleep(_POLL_S)

    async def refresh(self) -> None:
        """Read the catalogue if its version changed, and the newest charts."""
        version = await catalogue_version(self._database)
        if version is not None and version != self.catalogue.version:
            self.catalogue = await read_catalogue(self._database, version)
            _log.info("catalogue is held", version=version, tracks=len(self.catalogue.track_ids))
        self.charts = await newest_charts(self._database, self.charts)
        await self._ranker.surround(self.catalogue, self.charts)

    def _hold(self, model: Model) -> None:
        self._models[model.model_id] = model
        self._alive.add(model)

    async def _make_room(self) -> None:
        """Hold one model at most, the one that serves; return when no other is in memory.

        A partition whose model goes, because two newer ones came meanwhile, is served by the one that stays.
        """
        newest = next(reversed(self._models), None)
        kept = self._stand_in if self._stand_in in self._models else newest
        for model_id in [one for one in self._models if one != kept]:
            del self._models[model_id]
            self._superseded.add(model_id)
        for partition, model_id in self._served.items():
            if model_id not in self._models and kept is not None:
                self._served[partition] = kept
        until = time.monotonic() + _LET_GO_S
        while len(self._alive) > len(self._models) and time.monotonic() < until:
            await asyncio.sleep(_LOOK_S)
        await self._ranker.keep(self._models)
