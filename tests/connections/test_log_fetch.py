"""What ``connections.log_fetch`` needs of aiokafka, on a real broker."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from connections.event_log import LogReader, topic_name
from connections.log_fetch import Record
from connections.log_topics import ensure_topics
from schemas.errors import LogMismatch, LogUnavailable
from schemas.settings import Settings
from schemas.topics import PLAYS

_COUNT = 12_000


@pytest.fixture
async def filled(settings: Settings) -> tuple[Settings, list[Record]]:
    """Partition 3 with records of many sizes, in batches of many sizes, packed and not."""
    await ensure_topics(settings)
    made: list[Record] = [
        (at, b"%d" % at if at % 3 or not at % 400 else None, b"v" * (at % 400) or None)
        for at in range(1, _COUNT)
    ]
    name = topic_name(settings, PLAYS)
    for share, packed in ((made[: _COUNT // 2], None), (made[_COUNT // 2 :], "gzip")):
        async with AIOKafkaProducer(
            bootstrap_servers=settings.kafka_address, compression_type=packed
        ) as producer:
            futures = [await producer.send(name, key=k, value=v, partition=3) for _, k, v in share]
            await asyncio.gather(*futures)
    return settings, made


async def _lists_of(settings: Settings, start: int, end: int, **given: int) -> list[list[Record]]:
    async with LogReader(settings) as reader:
        return [records async for records in reader.read_tuples(3, start, end, **given)]


async def test_a_range_is_read_whole_whatever_the_batches_and_fetches(
    filled: tuple[Settings, list[Record]],
) -> None:
    settings, made = filled

    for start, end in ((1, _COUNT), (17, 18), (5_000, 9_001), (_COUNT - 1, _COUNT), (9, 9)):
        for fetch_bytes in (70_000, 4_194_304):
            lists = await _lists_of(settings, start, end, fetch_bytes=fetch_bytes)
            assert [record for records in lists for record in records] == made[start - 1 : end - 1]
            assert all(0 < len(records) < 10_000 for records in lists)
    # a fetch too small for a batch brings that batch
    assert await _lists_of(settings, 17, 30, fetch_bytes=1) != []


async def test_it_reads_what_a_consumer_reads(filled: tuple[Settings, list[Record]]) -> None:
    settings, _ = filled
    where = TopicPartition(topic_name(settings, PLAYS), 3)
    theirs: list[Record] = []
    async with AIOKafkaConsumer(bootstrap_servers=settings.kafka_address) as consumer:
        consumer.assign([where])
        consumer.seek(where, 0)
        while len(theirs) < _COUNT:
            theirs += [
                (r.offset, r.key, r.value) for r in (await consumer.getmany(timeout_ms=1000)).get(where, [])
            ]

    assert [record for records in await _lists_of(settings, 0, _COUNT) for record in records] == theirs


async def test_an_offset_that_is_not_there_and_one_that_does_not_come_are_told_apart(
    filled: tuple[Settings, list[Record]],
) -> None:
    settings, _ = filled
    async with LogReader(settings) as reader:
        with pytest.raises(LogMismatch, match="holds no offset 50000"):
            _ = [records async for records in reader.read_tuples(3, 50_000, 50_001)]
        with pytest.raises(LogUnavailable, match=f"at offset {_COUNT}: TimeoutError"):
            _ = [records async for records in reader.read_tuples(3, _COUNT - 1, _COUNT + 1, timeout_s=0.5)]
        # and the reader still reads
        assert [len(records) async for records in reader.read_tuples(3, 1, 6)] == [5]


async def test_who_stops_reading_leaves_no_fetch_behind(filled: tuple[Settings, list[Record]]) -> None:
    settings, _ = filled
    async with LogReader(settings) as reader:
        lists: AsyncIterator[list[Record]] = reader.read_tuples(3, 1, _COUNT, fetch_bytes=50_000)
        await anext(lists)
        await lists.aclose()  # type: ignore[attr-defined]
        left = {
            task
            for task in asyncio.all_tasks()
            if "fetch" in repr(task.get_coro()) and "fetched" in repr(task)
        }
        assert left == set()


async def test_a_damaged_batch_is_refused(filled: tuple[Settings, list[Record]]) -> None:
    settings, _ = filled
    async with LogReader(settings) as reader:
        client = reader._require()._client
        send = client.send

        async def spoilt(node: int, request: object) -> object:
            answer = await send(node, request)
            [(_, partitions)] = answer.topics
            *rest, data = partitions[0]
            partitions[0] = (*rest, data[:80] + bytes([data[80] ^ 1]) + data[81:])
            return answer

        client.send = spoilt
        with pytest.raises(LogUnavailable, match=r"a batch of .*/3 is damaged"):
            _ = [records async for records in reader.read_tuples(3, 1, 6)]
