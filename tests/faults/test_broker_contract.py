"""F30: what Segue asks of a broker. Runs against any one: ``SEGUE_TEST_KAFKA_PORT=9092 pytest FILE``.

Nothing here is about Segue's own code beyond its two clients; a broker that passes can hold the log.
"""

import asyncio
import os
import time
import uuid
from collections.abc import AsyncIterator, Iterable
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic, RecordsToDelete
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import MessageSizeTooLargeError, OffsetOutOfRangeError

from connections.event_log import LogReader, topic_name
from connections.log_topics import create_topics
from connections.log_writer import LogWriter
from schemas.errors import LogBroken
from schemas.settings import Settings
from schemas.topics import PLAYS, TOPICS

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]
_HUNG_S = 60.0


@pytest.fixture(scope="module")
def broker(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Return settings of a fresh world on the broker under test; MongoDB is not needed."""
    port = os.environ.get("SEGUE_TEST_KAFKA_PORT") or request.getfixturevalue("embedded").kafka_port
    folder: Path = tmp_path_factory.mktemp("contract")
    settings = Settings(data_dir=folder, kafka_port=int(port), topic_prefix=f"{uuid.uuid4().hex[:12]}-")
    asyncio.run(create_topics(settings))
    return settings


@pytest.fixture
async def admin(broker: Settings) -> AsyncIterator[AIOKafkaAdminClient]:
    client = AIOKafkaAdminClient(bootstrap_servers=broker.kafka_address)
    await client.start()
    yield client
    await client.close()


async def _topic(admin: AIOKafkaAdminClient, broker: Settings, partitions: int = 1, **config: str) -> str:
    name = f"{broker.topic_prefix}{uuid.uuid4().hex[:8]}"
    made = NewTopic(
        name=name, num_partitions=partitions, replication_factor=broker.kafka_replication,
        topic_configs={key.replace("_", "."): value for key, value in config.items()},
    )  # fmt: skip
    response = await admin.create_topics([made])
    assert response.topic_errors[0][1] == 0, response
    return name


async def _produced(
    broker: Settings, name: str, values: Iterable[bytes], key: bytes | None = None
) -> list[int]:
    """Append to partition 0 by an idempotent producer; return the offsets."""
    producer = AIOKafkaProducer(
        bootstrap_servers=broker.kafka_address,
        acks="all",
        enable_idempotence=True,
        max_request_size=5_000_000,
    )
    async with producer:
        sent = [await producer.send(name, value, key=key, partition=0) for value in values]
        return [(await one).offset for one in sent]


async def _consumed(broker: Settings, name: str, count: int) -> list[tuple[bytes | None, bytes | None]]:
    consumer = AIOKafkaConsumer(bootstrap_servers=broker.kafka_address, group_id=None)
    async with consumer:
        where = TopicPartition(name, 0)
        consumer.assign([where])
        await consumer.seek_to_beginning(where)
        found: list[tuple[bytes | None, bytes | None]] = []
        end = (await consumer.end_offsets([where]))[where]
        while len(found) < count and await consumer.position(where) < end:
            record = await asyncio.wait_for(consumer.getone(), _HUNG_S)
            found.append((record.key, record.value))
        return found


async def test_offsets_follow_each_other_without_a_gap_and_the_end_is_the_next(
    broker: Settings, admin: AIOKafkaAdminClient
) -> None:
    name = await _topic(admin, broker)
    expected = 0
    async with AIOKafkaConsumer(bootstrap_servers=broker.kafka_address, group_id=None) as consumer:
        for size in (10, 5, 1, 100, 1):
            offsets = await _produced(broker, name, (b"%d" % number for number in range(size)))
            assert offsets == list(range(expected, expected + size))
            expected += size
            where = TopicPartition(name, 0)
            assert (await consumer.end_offsets([where]))[where] == expected
    assert len(await _consumed(broker, name, expected)) == expected


async def test_topics_are_kept_as_they_were_asked_for(broker: Settings, admin: AIOKafkaAdminClient) -> None:
    """The log for ever, lists compacted."""
    for topic in TOPICS:
        resource = ConfigResource(ConfigResourceType.TOPIC, topic_name(broker, topic))
        [answer] = await admin.describe_configs([resource])
        [(code, _, _, _, entries)] = answer.resources
        held = {entry[0]: entry[1] for entry in entries}
        assert code == 0
        assert {key: held[key] for key in topic.config} == topic.config
    described = await admin.describe_topics([topic_name(broker, topic) for topic in TOPICS])
    assert {one["topic"]: len(one["partitions"]) for one in described} == {
        topic_name(broker, topic): topic.partitions for topic in TOPICS
    }


async def test_a_topic_that_is_there_is_not_made_again(broker: Settings, admin: AIOKafkaAdminClient) -> None:
    name = await _topic(admin, broker)
    await _produced(broker, name, [b"kept"])

    again = await admin.create_topics([NewTopic(name, 3, broker.kafka_replication)])

    assert again.topic_errors[0][1] == 36
    assert await _consumed(broker, name, 1) == [(None, b"kept")]


async def test_compaction_keeps_the_newest_of_each_key(broker: Settings, admin: AIOKafkaAdminClient) -> None:
    """The cleaner looks every 15 s; whatever it has done by then, the newest is there."""
    name = await _topic(
        admin, broker, cleanup_policy="compact", segment_ms="100", min_cleanable_dirty_ratio="0.01"
    )
    for number in range(12):
        for key in (b"a", b"b"):
            await _produced(broker, name, [b"%d" % number], key=key)
        await asyncio.sleep(0.12)  # longer than a segment lasts
    until = time.monotonic() + _HUNG_S
    found = await _consumed(broker, name, 24)
    while len(found) == 24 and time.monotonic() < until:
        await asyncio.sleep(1.0)
        found = await _consumed(broker, name, 24)

    newest = {key: value for key, value in found if value is not None}
    assert newest == {b"a": b"11", b"b": b"11"}
    assert len(found) < 24, "nothing was compacted"


async def test_what_is_larger_than_the_broker_takes_is_refused_by_both_sides(
    broker: Settings, admin: AIOKafkaAdminClient
) -> None:
    name = await _topic(admin, broker)
    with pytest.raises(MessageSizeTooLargeError):
        await _produced(broker, name, [bytes(1_200_000)])
    async with LogWriter(broker) as writer:
        with pytest.raises(LogBroken):
            await writer.append(PLAYS, [(b"key", bytes(1_200_000))], partition=0)
        [offset] = await writer.append(PLAYS, [(b"key", bytes(990_000))], partition=0)
    async with LogReader(broker) as reader:
        sizes = [len(one.value or b"") async for some in reader.read(0, offset, offset + 1) for one in some]
    assert sizes == [990_000]


async def test_deleted_records_are_said_to_be_out_of_range(
    broker: Settings, admin: AIOKafkaAdminClient
) -> None:
    name = await _topic(admin, broker)
    await _produced(broker, name, [b"1", b"2", b"3"])
    where = TopicPartition(name, 0)
    await admin.delete_records({where: RecordsToDelete(before_offset=2)})
    consumer = AIOKafkaConsumer(
        bootstrap_servers=broker.kafka_address, group_id=None, auto_offset_reset="none"
    )
    async with consumer:
        consumer.assign([where])
        consumer.seek(where, 0)
        with pytest.raises(OffsetOutOfRangeError):
            await asyncio.wait_for(consumer.getone(), _HUNG_S)


async def test_a_topic_made_anew_begins_at_zero(broker: Settings, admin: AIOKafkaAdminClient) -> None:
    name = await _topic(admin, broker)
    assert await _produced(broker, name, [b"1", b"2"]) == [0, 1]

    await admin.delete_topics([name])
    while name in await admin.list_topics():
        await asyncio.sleep(0.1)
    await admin.create_topics([NewTopic(name, 1, broker.kafka_replication)])

    assert await _produced(broker, name, [b"3"]) == [0]


def _member(broker: Settings, group: str, instance: str) -> AIOKafkaConsumer:
    return AIOKafkaConsumer(
        bootstrap_servers=broker.kafka_address,
        group_id=group,
        group_instance_id=instance,
        enable_auto_commit=False,
        session_timeout_ms=30_000,
        heartbeat_interval_ms=500,
        auto_offset_reset="earliest",
    )


async def _until_shared(members: Iterable[AIOKafkaConsumer], partitions: int) -> None:
    until = time.monotonic() + _HUNG_S
    while time.monotonic() < until:
        shares = [len(one.assignment()) for one in members]
        if sum(shares) == partitions and all(shares):
            return
        await asyncio.sleep(0.1)
    raise AssertionError(f"not every partition has an owner: {shares}")


async def test_a_static_member_that_comes_back_finds_its_partitions_and_moves_nobody(
    broker: Settings, admin: AIOKafkaAdminClient
) -> None:
    name, group = await _topic(admin, broker, partitions=4), f"group-{uuid.uuid4().hex[:8]}"
    staying, leaving = _member(broker, group, "staying"), _member(broker, group, "leaving")
    for member in (staying, leaving):
        member.subscribe([name])
    async with staying:
        async with leaving:
            await _until_shared([staying, leaving], 4)
            held, generation = leaving.assignment(), staying._coordinator.generation
        back = _member(broker, group, "leaving")
        back.subscribe([name])
        async with back:
            await _until_shared([staying, back], 4)
            assert back.assignment() == held
            assert staying._coordinator.generation == back._coordinator.generation == generation


async def test_what_a_group_has_committed_is_there_when_it_comes_back(
    broker: Settings, admin: AIOKafkaAdminClient
) -> None:
    name, group = await _topic(admin, broker), f"group-{uuid.uuid4().hex[:8]}"
    where = TopicPartition(name, 0)
    await _produced(broker, name, [b"1", b"2", b"3"])
    for expected in (b"1", b"2", b"3"):
        consumer = _member(broker, group, "one")
        consumer.subscribe([name])
        async with consumer:
            record = await asyncio.wait_for(consumer.getone(), _HUNG_S)
            assert record.value == expected
            await consumer.commit({where: record.offset + 1})
