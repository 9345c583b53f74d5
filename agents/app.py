"""The worker: the Faust app, its agent, and everything that runs beside it."""

import asyncio
import gc
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import structlog
from faust.types import TP

from agents.archive import Archive
from agents.barriers import Barriers
from agents.beside import Beside
from agents.charts import ChartPublisher
from agents.chunks import ChunkConsumer, ChunkSchema
from agents.dead_letters import DeadLetters
from agents.delivery import Delivery
from agents.effects import Effects
from agents.faust_app import GROUP, create_faust_app, group_name
from agents.lists import Lists
from agents.log_identity import LogIdentity
from agents.partitions import Partitions
from agents.ranking.ranker import Ranker
from agents.reranking import Reranking
from agents.restore import Restorer
from agents.serving import Serving
from agents.snapshots import Coordinator
from agents.start import StartTimes
from agents.watchdog import Observation, Watchdog
from connections.documents import Database
from connections.event_log import topic_name
from connections.log_writer import LogWriter
from connections.snapshot_store import SnapshotStore
from recommender.partition import Folded, PartitionState, Record
from schemas.errors import LogUnavailable
from schemas.settings import Settings
from schemas.topics import PLAYS

_log = structlog.get_logger()
_LOOK_S = 0.02
_RETRY_S = 0.5


class Worker:
    """One worker process: folds its share of ``plays`` and answers each event with a fresh list.

    Parameters
    ----------
    generation : the log's name
    ranked, archived, group : other than by default only to measure the fold alone
    times : of the steps of its start
    """

    def __init__(
        self,
        settings: Settings,
        database: Database,
        writer: LogWriter,
        ranker: Ranker,
        generation: str,
        *,
        ranked: bool = True,
        archived: bool = True,
        group: str = GROUP,
        times: StartTimes | None = None,
    ) -> None:
        self.settings = settings
        self.generation = generation
        self.times = times or StartTimes()
        self.store = SnapshotStore(settings.snapshot_location)
        self.ranker = ranker
        self.serving = Serving(database, ranker, self._model_loaded, generation)
        self.lists = Lists(writer, self.serving, ranker, self._fail)
        self.dead_letters = DeadLetters(writer, topic_name(settings, PLAYS), generation)
        self.delivery = Delivery(self._fail)
        charts = ChartPublisher(database, generation, self.serving.known_catalogue)
        self.coordinator = Coordinator(settings, database, writer, self.store, generation, charts)
        self.beside = Beside()
        self.barriers = Barriers(self.store, self.coordinator, self.beside)
        self.restorer = Restorer(settings, self.store, generation, self.barriers.met)
        self.archive = Archive(database, self.restorer.folded_again)
        self.partitions = Partitions(self.restorer, self.barriers.met, self._on_folded)
        self.watchdog = Watchdog(settings, self._observe)
        self.identity = LogIdentity(settings, generation)
        self.reranking = Reranking(self.partitions, self.lists)
        self.effects = Effects(
            generation,
            self.delivery,
            self.serving,
            self.reranking,
            self.dead_letters,
            self.beside,
            self.times,
            lists=self.lists if ranked else None,
            archive=self.archive if archived else None,
        )
        self._ranked = ranked
        self._failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.app = create_faust_app(settings, group_name(group, generation))
        self._register()

    @property
    def consumer(self) -> ChunkConsumer:
        """The consumer that delivers chunks."""
        consumer = self.app.consumer
        assert isinstance(consumer, ChunkConsumer)
        return consumer

    async def run(self) -> None:
        """Work until cancelled or crashed; raise what crashed it."""
        ChunkConsumer.chunk_records = self.settings.chunk_records
        # what is loaded by now lives as long as the worker: without this each full collection would
        # look at all of it and stop the event loop for a tenth of a second
        gc.collect()
        gc.freeze()
        async with asyncio.TaskGroup() as beside:
            tasks = [
                beside.create_task(service.run())
                for service in (
                    self.serving,
                    self.ranker,
                    self.lists,
                    self.lists.outbox,
                    self.reranking,
                    self.archive,
                    self.dead_letters,
                    self.coordinator,
                    self.watchdog,
                    self.identity,
                )
            ]
            try:
                await self.app.start()
                await self._until_stopped()
            finally:
                await self.app.stop()
                for task in tasks:
                    task.cancel()

    async def _until_stopped(self) -> None:
        stopped = asyncio.ensure_future(self.app.wait_until_stopped())
        await asyncio.wait({stopped, self._failed}, return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        if self._failed.done():
            self._failed.result()
        if self.app.crash_reason is not None:
            raise self.app.crash_reason

    def _observe(self, ends: Mapping[int, int]) -> Observation:
        assigned = {tp.partition: tp for tp in self.consumer.assignment()}
        waiting = (self.lists.outbox, self.archive, self.dead_letters, self.serving)
        away = [service.waiting_for for service in waiting]
        return Observation(
            ends={partition: ends[partition] for partition in assigned},
            positions={p: state.position for p, state in self.partitions.states.items()},
            committed={
                partition: self.consumer.committed(tp)
                for partition, tp in assigned.items()
                if self.consumer.delivering(tp)
            },
            restored=self.restorer.folded,
            made_anew=self.reranking.made,
            waiting_for=next((name for name in away if name is not None), None),
        )

    def _register(self) -> None:
        topic = self.app.topic(topic_name(self.settings, PLAYS), schema=ChunkSchema(), internal=False)

        @self.app.agent(topic, name="plays", concurrency=1)
        async def fold_plays(stream: Any) -> None:
            async for event in stream.events():
                await self._on_chunk(event.message)

        self.app.on_partitions_assigned.connect(self._on_assigned)
        self.app.on_partitions_revoked.connect(self._on_revoked)

    async def _on_chunk(self, message: Any) -> None:
        records: Sequence[Record] = message.value
        next_offset = records[-1][0] + 1
        await self.delivery.begin(len(records))
        await self.identity.confirmed()
        await self._fold(message, records)
        # the stream hands on what it holds without giving way: a queue of chunks would be one long stop
        await asyncio.sleep(0)
        # without the records: while lists are made anew after an activation many chunks wait to be done
        done = partial(self.consumer.mark_done, message.tp, message.generation_id, next_offset)
        self.delivery.end(message.partition, done)

    async def _fold(self, message: Any, records: Sequence[Record]) -> None:
        """Fold a chunk; nothing is raised into Faust, which would take the chunk for done.

        One that was delivered before a rebalance comes again, to whoever holds the partition now.
        """
        while self.consumer.is_ours(message.tp, message.generation_id):
            try:
                committed = self.consumer.committed(message.tp)
                return await self.partitions.fold(message.partition, records, committed)
            except LogUnavailable as error:
                # what was folded stays folded: the position says where to go on
                _log.warning("folding waits for Kafka", error=str(error))
                await asyncio.sleep(_RETRY_S)
            except Exception as error:
                self._fail(error)
                await asyncio.Event().wait()

    def _fail(self, error: Exception) -> None:
        """End the worker for a defect: the next one restores, and goes on from what is acknowledged."""
        if not self._failed.done():
            self._failed.set_exception(error)

    async def _on_folded(
        self, state: PartitionState, records: Sequence[Record], folded: Sequence[Folded]
    ) -> None:
        await self.effects.of(state, records, folded)

    async def _on_assigned(self, *signal: Any, **__: Any) -> None:
        _, assigned = signal
        _log.info("partitions were assigned", partitions=sorted(tp.partition for tp in assigned))
        self.times.note("assigned")
        self.beside.run(self._hold(sorted(assigned)))

    async def _model_loaded(self, model_id: str) -> None:
        if self._ranked:
            await self.reranking.all_with(model_id)

    async def _hold(self, assigned: Sequence[TP]) -> None:
        """Restore what was assigned before its first record comes, so that this one is answered at once."""
        for tp in assigned:
            while not self.consumer.delivering(tp):
                await asyncio.sleep(_LOOK_S)
                if tp not in self.consumer.assignment():
                    return
            await self.partitions.hold(tp.partition, self.consumer.committed(tp))
            if tp not in self.consumer.assignment():
                self.partitions.release([tp.partition])
            if tp.partition in self.partitions.states and await self.serving.want(
                self.partitions.states[tp.partition].model_id
            ):
                self.times.note("model")
        self.times.note("restored")

    async def _on_revoked(self, *signal: Any, **__: Any) -> None:
        _, revoked = signal
        gone = {tp.partition for tp in revoked}
        self.partitions.release(gone)
        self.lists.release(gone)
