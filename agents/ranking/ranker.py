"""What ranks for a worker: models go to each of its ranking processes, lists to the one with least to do."""

import asyncio
import os
from collections.abc import Iterable
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Self

from agents.ranking import frames
from agents.ranking.link import Link
from agents.ranking.program import RankingPrograms
from agents.ranking.shared_model import mapped, share
from recommender.catalogue import Catalogue, Charts
from recommender.model import Model
from recommender.ranking_config import RankingConfig


class Ranker:
    """Has lists ranked by processes of their own. Use as an async context manager.

    Each process does what it is asked for in that order; lists that were asked for together come together,
    and later ones can come before. When a process dies, everything that waits for it fails, and so does
    ``run``: the worker has to end.

    Attributes
    ----------
    processes : how many lists can be ranked at the same time
    """

    def __init__(self, programs: RankingPrograms, config: RankingConfig, generation: str) -> None:
        self._links = [Link(program) for program in programs.each]
        self._begin = frames.Begin(config, generation)
        self._catalogue: Catalogue | None = None
        self._charts: Charts | None = None
        self.processes = len(self._links)

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            for link in self._links:
                await stack.enter_async_context(link)
                await link.say(self._begin)
            self._open = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._open.aclose()

    async def run(self) -> None:
        """Return never; raise ``RankingEnded`` when a process is gone."""
        await asyncio.gather(*(asyncio.shield(link.ended) for link in self._links))

    @property
    def pids(self) -> list[int]:
        """Process ids."""
        return [link.pid for link in self._links]

    @property
    def models_alive(self) -> int:
        """Number of models in memory: all processes share the same, but each lets go for itself."""
        return max(link.models_alive for link in self._links)

    async def surround(self, catalogue: Catalogue, charts: Charts) -> None:
        """Rank with this catalogue and these charts from now on."""
        new = frames.Surround(
            None if catalogue is self._catalogue else catalogue, None if charts is self._charts else charts
        )
        self._catalogue, self._charts = catalogue, charts
        if new != (None, None):
            await asyncio.gather(*(link.say(new) for link in self._links))

    async def hold(self, model: Model) -> Model:
        """Give every process a model; return the same over memory that all see, when it is ready there."""
        shared, descriptor = await asyncio.to_thread(share, model)
        try:
            held = mapped(shared, descriptor)
            order = frames.Hold(shared)
            await asyncio.gather(*(link.hold(order, descriptor) for link in self._links))
        finally:
            os.close(descriptor)
        return held

    async def keep(self, model_ids: Iterable[str]) -> None:
        """Have every process let go of all other models; returns when all have."""
        order = frames.Keep(frozenset(model_ids))
        await asyncio.gather(*(link.keep(order) for link in self._links))

    async def rank(self, model_id: str | None, asked: list[frames.Asked], *, brief: bool) -> frames.Ranked:
        """Return the messages asked for.

        Raises
        ------
        InvalidModel
            The model's equations cannot be solved.
        ModelNotHeld
            The process has let go of the model.
        RankingEnded
            The process is gone.
        """
        idlest = min(self._links, key=lambda link: link.under_way)
        return await idlest.rank(model_id, asked, brief=brief)
