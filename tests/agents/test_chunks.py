"""The contract with the pinned Faust: what ``agents.chunks`` overrides exists and does what we take it to."""

import asyncio
import inspect
from collections.abc import AsyncIterator
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer
from faust.tables.manager import TableManager
from faust.transport import consumer as faust_consumer
from faust.transport.conductor import ConductorCompiler, ConductorHandler
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread, Consumer
from faust.types import TP

from agents.chunks import FETCH_WAIT_MS, ChunkConsumer, ChunkSchema, ChunkTransport
from agents.faust_app import create_faust_app
from schemas.settings import Settings

_TP = TP("plays", 3)


@pytest.fixture
async def consumer(tmp_path: Path) -> AsyncIterator[ChunkConsumer]:
    app = create_faust_app(Settings(data_dir=tmp_path), "group")
    assert isinstance(app.transport, ChunkTransport)

    async def nothing(*_: Any) -> None:
        pass

    made = app.transport.create_consumer(
        callback=nothing, on_partitions_revoked=nothing, on_partitions_assigned=nothing
    )
    assert isinstance(made, ChunkConsumer)
    made._positioned.add(_TP)
    yield made
    made._thread.thread_loop.close()


def _message(consumer: ChunkConsumer, generation: int = 0) -> Any:
    record = SimpleNamespace(offset=5, key=b"k", value=b"v", timestamp=1_000, timestamp_type=0)
    return consumer._chunk_message(_TP, [record], generation)


def test_faust_and_aiokafka_are_the_versions_that_were_read() -> None:
    assert (version("faust-streaming"), version("aiokafka")) == ("0.15.3", "0.14.0")


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        (faust_consumer.Consumer, "_drain_messages"),
        (faust_consumer.Consumer, "_wait_next_records"),
        (faust_consumer.Consumer, "_new_offset"),
        (faust_consumer.Consumer, "_should_commit"),
        (faust_consumer.Consumer, "_filter_tps_with_pending_acks"),
        (faust_consumer.Consumer, "perform_seek"),
        (faust_consumer.Consumer, "on_partitions_revoked"),
        (faust_consumer.Consumer, "on_buffer_full"),
        (faust_consumer.Consumer, "verify_all_partitions_active"),
        (Consumer, "_new_consumer_thread"),
        (AIOKafkaConsumerThread, "_create_worker_consumer"),
    ],
)
def test_what_is_overridden_still_exists(owner: type, name: str) -> None:
    assert callable(getattr(owner, name))


def test_the_table_manager_sleeps_only_to_wait_for_tables() -> None:
    assert inspect.getsource(TableManager).count("self.sleep(") == 1


def test_aiokafka_reads_the_fetch_wait_when_it_starts() -> None:
    assert "self._fetch_max_wait_ms" in inspect.getsource(AIOKafkaConsumer.start)


async def test_the_fetching_thread_waits_shortly(consumer: ChunkConsumer) -> None:
    made = consumer._thread._create_worker_consumer(consumer.transport)

    assert made._fetch_max_wait_ms == FETCH_WAIT_MS
    await made.stop()


async def test_a_full_queue_leaves_out_no_partition(consumer: ChunkConsumer) -> None:
    """Faust's own consumer would, and sleep a second when all are left out; the queue alone holds back."""
    consumer._active_partitions = {_TP}

    consumer.on_buffer_full(_TP)
    left = set(consumer._active_partitions)
    faust_consumer.Consumer.on_buffer_full(consumer, _TP)

    assert left == {_TP}
    assert not consumer._active_partitions
    assert "await self.sleep(1)" in inspect.getsource(faust_consumer.Consumer._wait_next_records)


@pytest.mark.parametrize("handler", [ConductorHandler, ConductorCompiler().build])
async def test_a_chunk_waits_until_there_is_room_in_the_queue(consumer: ChunkConsumer, handler: Any) -> None:
    """This is what holds back. Faust delivers by the first one, which is compiled."""
    app: Any = consumer.app
    app.consumer = consumer
    app.flow_control.resume()
    topic = app.topic("plays", schema=ChunkSchema(), internal=False).clone(is_iterator=True)
    deliver = handler(app.topics, _TP, {topic})

    for _ in range(app.conf.stream_buffer_maxsize):
        await deliver(_message(consumer))
    beyond = asyncio.ensure_future(deliver(_message(consumer)))
    done, _ = await asyncio.wait({beyond}, timeout=0.2)
    assert not done
    assert topic.queue.qsize() == app.conf.stream_buffer_maxsize

    await topic.queue.get()
    await asyncio.wait_for(beyond, 5)
    assert topic.queue.qsize() == app.conf.stream_buffer_maxsize


async def test_a_chunk_carries_its_records_as_they_are(consumer: ChunkConsumer) -> None:
    message = _message(consumer)

    assert message.value == [(5, b"k", b"v")]
    assert (message.tp, message.offset) == (_TP, 5)


async def test_only_what_was_marked_done_is_offered_for_commit(consumer: ChunkConsumer) -> None:
    message = _message(consumer)

    assert consumer.ack(message) is True
    assert list(consumer._filter_tps_with_pending_acks()) == []

    assert consumer.mark_done(_TP, message.generation_id, 6) is True
    assert list(consumer._filter_tps_with_pending_acks()) == [_TP]
    assert consumer._filter_committable_offsets([_TP]) == {_TP: 6}


async def test_a_done_mark_never_goes_back(consumer: ChunkConsumer) -> None:
    message = _message(consumer)
    consumer.mark_done(_TP, message.generation_id, 9)

    consumer.mark_done(_TP, message.generation_id, 6)

    assert consumer._new_offset(_TP) == 9


async def test_a_chunk_of_a_partition_that_was_revoked_is_not_committed(consumer: ChunkConsumer) -> None:
    """Between revocation and assignment the number of the rebalance is still the old one."""
    message = _message(consumer)
    await consumer.on_partitions_revoked({_TP})

    assert consumer.mark_done(_TP, message.generation_id, 6) is False
    assert consumer._new_offset(_TP) is None


async def test_a_chunk_delivered_before_a_rebalance_is_not_committed(consumer: ChunkConsumer) -> None:
    message = _message(consumer)
    consumer.app.consumer_generation_id = 1

    assert consumer.mark_done(_TP, message.generation_id, 6) is False
    assert consumer._new_offset(_TP) is None
