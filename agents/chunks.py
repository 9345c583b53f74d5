"""All that reaches into Faust's private parts: chunks of records instead of single records.

Faust 0.15.3 spends four tasks and eleven turns of the event loop on each record. Here the loop that drains
fetched records hands on one message whose value is a list of records of one partition, in order. Faust's own
acknowledgement of such a message means nothing: the agent marks a chunk *done* when its effects are
acknowledged, and only then is its end offered for commit, and only by the member of the group to whom the
chunk was delivered.

What is overridden or read, and checked by ``tests/agents/test_chunks.py`` against the pinned version:
``App._new_transport``, ``Consumer._drain_messages``, ``_wait_next_records``, ``_new_offset``,
``_should_commit``, ``_filter_tps_with_pending_acks``, ``_committed_offset``, ``_read_offset``, ``ack``,
``perform_seek``, ``on_partitions_revoked``, ``on_buffer_full``, ``verify_all_partitions_active``,
``_new_consumer_thread``, and in it ``_create_worker_consumer`` and aiokafka's ``_fetch_max_wait_ms``;
``TableManager.sleep``.
"""

import asyncio
from collections.abc import Iterator
from typing import Any, cast

import faust
import structlog
from aiokafka.errors import IllegalStateError, KafkaError
from faust.tables.manager import TableManager
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread, Consumer, Transport
from faust.types import TP
from faust.types.tuples import ConsumerMessage, Message, ack_lock
from mode.utils.futures import notify

from recommender.partition import Record

_log = structlog.get_logger()
_POLL_S = 1.0
FETCH_WAIT_MS = 10


class ChunkSchema(faust.Schema[Any, Any]):
    """Hands the list of records on as it is: nothing is decoded where an error would stop the agent."""

    def loads_key(self, app: Any, message: Any, **_: Any) -> None:
        """Return no key: each record of the chunk has its own."""

    def loads_value(self, app: Any, message: Any, **_: Any) -> Any:
        """Return the chunk."""
        return message.value


class QuickFetchThread(AIOKafkaConsumerThread):
    """The thread that fetches, without long waits at the broker.

    A fetch waits at the broker for any of the partitions that it names, Faust says up to 1.5 s. A partition
    whose records were being handed on when the fetch was sent is not among them, so its next record would
    wait as long: measured at 100 plays/s over 12 partitions, 0.2 to 0.3 s at the 99th percentile.
    """

    def _create_worker_consumer(self, transport: Any) -> Any:
        consumer = super()._create_worker_consumer(transport)
        consumer._fetch_max_wait_ms = FETCH_WAIT_MS
        return consumer


class ChunkConsumer(Consumer):
    """A Faust consumer that delivers chunks and commits what was marked done."""

    chunk_records = 2_000

    def _new_consumer_thread(self) -> QuickFetchThread:
        return QuickFetchThread(self, loop=self.loop, beacon=self.beacon)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._done: dict[TP, int] = {}
        self._positioned: set[TP] = set()

    def mark_done(self, tp: TP, generation_id: int, next_offset: int) -> bool:
        """Offer everything below ``next_offset`` for commit; return False if it is another's business by now.

        A chunk that was delivered before a rebalance is not committed.
        """
        if not self.is_ours(tp, generation_id):
            return False
        self._done[tp] = max(next_offset, self._done.get(tp, 0))
        return True

    def is_ours(self, tp: TP, generation_id: int) -> bool:
        """Return whether a chunk is still this worker's: after a rebalance its partition may have moved.

        Parameters
        ----------
        generation_id : of the rebalance after which the chunk was delivered
        """
        return generation_id == self.app.consumer_generation_id and self.delivering(tp)

    def committed(self, tp: TP) -> int:
        """Return the offset from which delivery began or went on; 0 when nothing was ever committed."""
        return self._committed_offset[tp] or 0

    def delivering(self, tp: TP) -> bool:
        """Return whether it is known from which offset on this partition is delivered."""
        return tp in self._positioned

    def ack(self, message: Message) -> bool:
        """Note that Faust let go of a chunk; says nothing about its effects."""
        with ack_lock:
            if message.acked:
                return False
            message.acked = True
            self._unacked_messages.discard(message)
            notify(self._waiting_for_ack)
            return True

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Forget what was done in partitions that moved."""
        for tp in revoked:
            self._done.pop(tp, None)
            self._positioned.discard(tp)
        await super().on_partitions_revoked(revoked)

    async def perform_seek(self) -> None:
        """Seek to the committed offsets; from now on it is known where delivery goes on."""
        await super().perform_seek()
        self._positioned = set(self.assignment())

    async def verify_all_partitions_active(self) -> None:
        """Look at nothing: the watchdog does. Faust's look fails where a partition has no position yet."""

    def on_buffer_full(self, tp: TP) -> None:
        """Go on: the next chunk waits for room in the queue, which holds back enough.

        Faust would leave out the partition until the queue has drained, and sleep a whole second when all are
        left out: under load that was a fifth of the time.
        """

    def _filter_tps_with_pending_acks(self, topics: Any = None) -> Iterator[TP]:
        return (tp for tp in list(self._done) if topics is None or tp in topics or tp.topic in topics)

    def _new_offset(self, tp: TP) -> int | None:
        return self._done.get(tp)

    async def _drain_messages(self, fetcher: Any) -> None:
        try:
            while not (self._stopped.is_set() or fetcher._stopped.is_set()):
                await self.sleep(0)
                await self._deliver_fetched()
        except self.consumer_stopped_errors:
            if not self.transport.app.should_stop:
                raise
        except asyncio.CancelledError:
            if not self.transport.app.should_stop:
                raise

    async def _deliver_fetched(self) -> None:
        records, active = await self._wait_next_records(_POLL_S)
        generation_id = self.app.consumer_generation_id
        if not records or self.should_stop:
            return
        if not self.flow_active:
            # what was fetched meanwhile comes again from the committed offset
            try:
                await self.perform_seek()
            except (KafkaError, IllegalStateError, AssertionError) as error:
                _log.warning("no seek amid a rebalance", error=repr(error))
            return
        for tp, found in records.items():
            for start in range(0, len(found), self.chunk_records):
                if not self.flow_active or self.app.consumer_generation_id != generation_id:
                    return
                if active is None or tp in active:
                    chunk = found[start : start + self.chunk_records]
                    message = self._chunk_message(tp, chunk, generation_id)
                    await self.wait_first(self.callback(message), self.suspend_flow.wait())
                    if self.flow_active and self.app.consumer_generation_id == generation_id:
                        self._read_offset[tp] = chunk[-1].offset

    def _chunk_message(self, tp: TP, chunk: list[Any], generation_id: int) -> ConsumerMessage:
        records: list[Record] = [(record.offset, record.key, record.value) for record in chunk]
        return ConsumerMessage(
            tp.topic,
            tp.partition,
            chunk[0].offset,
            chunk[0].timestamp / 1000.0,
            chunk[0].timestamp_type,
            None,
            None,
            cast(Any, records),  # Faust says bytes; ``ChunkSchema`` hands on what is there
            None,
            tp=tp,
            generation_id=generation_id,
        )


class NoTables(TableManager):
    """The table manager of an app without tables of Faust's own: it has no second to wait for them."""

    async def sleep(self, n: Any, *, loop: Any = None) -> None:
        """Give way once; Faust waits here for tables that might still be declared."""
        await super().sleep(0)


class ChunkTransport(Transport):
    """The aiokafka transport with ``ChunkConsumer``."""

    Consumer = ChunkConsumer


class ChunkApp(faust.App):
    """A Faust app whose streams carry chunks."""

    def _new_transport(self) -> ChunkTransport:
        return ChunkTransport(self.conf.broker_consumer, self)
