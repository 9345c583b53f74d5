"""What folded records cause: another model, lists, archive and dead letters."""

import asyncio
from collections.abc import Sequence

from agents.archive import Archive
from agents.beside import Beside
from agents.dead_letters import DeadLetters
from agents.delivery import Delivery
from agents.lists import Lists
from agents.reranking import Reranking
from agents.serving import Serving
from agents.start import StartTimes
from agents.wanted import Wanted, wanted_after
from recommender.partition import Folded, PartitionState, Record
from schemas import events
from schemas.errors import LogMismatch


class Effects:
    """Begins all that records cause which were folded live, and tells ``delivery`` what to wait for.

    Parameters
    ----------
    lists, archive : None to measure without
    """

    def __init__(
        self,
        generation: str,
        delivery: Delivery,
        serving: Serving,
        reranking: Reranking,
        dead_letters: DeadLetters,
        beside: Beside,
        times: StartTimes,
        *,
        lists: Lists | None,
        archive: Archive | None,
    ) -> None:
        self._generation = generation
        self._delivery = delivery
        self._serving = serving
        self._reranking = reranking
        self._dead_letters = dead_letters
        self._beside = beside
        self._times = times
        self._lists = lists
        self._archive = archive

    async def of(self, state: PartitionState, records: Sequence[Record], folded: Sequence[Folded]) -> None:
        """Begin what these records cause; they are folded into ``state`` already.

        Raises
        ------
        LogMismatch
            The partition's log was made anew.
        """
        if state.generation != self._generation:
            raise LogMismatch(f"the log was made anew: it is {state.generation}, not {self._generation}")
        if self._lists is not None:
            await self._listed(self._lists, state, folded)
        if self._archive is not None:
            self._delivery.expect(
                self._archive.submit(self._generation, state.partition, state.position, records, folded)
            )
        self._delivery.expect(*self._dead_letters.submit(state.partition, records, folded))

    async def _listed(self, lists: Lists, state: PartitionState, folded: Sequence[Folded]) -> None:
        activated = any(isinstance(result.event, events.Activate) for result in folded)
        changed = activated and self._serving.served(state.partition) != state.model_id
        if changed and state.model_id is not None:
            loading = self._serving.switch(state.model_id)
            self._delivery.expect_later(self._beside.run(self._rerank(state.partition, loading)))
        wanted = wanted_after(folded, state.position - 1 if activated else None)
        if wanted:
            self._delivery.expect(await self._made(lists, state, wanted))

    async def _rerank(self, partition: int, loading: asyncio.Task[bool]) -> None:
        """Make a partition's lists anew once its model is loaded; one that comes later does so itself."""
        if await loading:
            await self._reranking.partition(partition)

    async def _made(
        self, lists: Lists, state: PartitionState, wanted: Sequence[Wanted]
    ) -> asyncio.Future[None]:
        await self._serving.looked.wait()
        self._times.note("catalogue")
        await self._serving.prepare(state)
        acknowledged = await lists.make(state, wanted)
        if "list" not in self._times.at:
            acknowledged.add_done_callback(lambda _: self._times.note("list"))
        return acknowledged
