"""Fetch a range of one partition, as tuples, without what a consumer makes of every record.

A consumer of aiokafka makes an object with eleven attributes of each record, which costs as much as folding
it. This file sends the same fetch requests through the same client and takes from each record batch what a
fold reads. What it uses of aiokafka 0.14 lies below the consumer and stands here alone; the contract is
``tests/connections/test_log_fetch.py``.
"""

import asyncio
from collections.abc import AsyncGenerator, Iterator
from typing import Any

from aiokafka import TopicPartition
from aiokafka.errors import CorruptRecordException, KafkaConnectionError, KafkaError, for_code
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.record.memory_records import MemoryRecords

Record = tuple[int, bytes | None, bytes | None]
"""(offset, key, value); a plain tuple, which the garbage collector does not look at."""

_MAX_RECORDS = 5_000
_RETRY_S = 0.1
_READ_UNCOMMITTED = 0
_MAX_BYTES = 52_428_800


async def fetched(
    client: Any,
    where: TopicPartition,
    start: int,
    end: int,
    *,
    fetch_bytes: int,
    wait_ms: int,
    timeout_s: float,
) -> AsyncGenerator[list[Record], None]:
    """Yield the records ``[start, end)`` in order, in lists of about 5,000 at most.

    While a list is used the next fetch is on its way.

    Parameters
    ----------
    client : ``aiokafka.client.AIOKafkaClient`` that has started

    Raises
    ------
    TimeoutError
        Nothing came for ``timeout_s``.
    KafkaError
        The broker refuses: for an offset that is not there ``OffsetOutOfRangeError``; a batch does not have
        its checksum: ``CorruptRecordException``.
    """

    async def fetch(position: int) -> bytes:
        async with asyncio.timeout(timeout_s):
            return await _fetch(client, where, position, fetch_bytes, wait_ms)

    if start >= end:
        return
    position = start
    coming = asyncio.create_task(fetch(position))
    try:
        while position < end:
            data = await coming
            following = _next_offset(data, position)
            if following < end:
                coming = asyncio.create_task(fetch(following))
                await asyncio.sleep(0)  # let it be sent before the records are used
            for records in _lists(data, where, position, end):
                yield records
            position = following
    finally:
        coming.cancel()
        await asyncio.gather(coming, return_exceptions=True)


async def _fetch(client: Any, where: TopicPartition, position: int, fetch_bytes: int, wait_ms: int) -> bytes:
    """Return the bytes of record batches from ``position`` on, at least one; wait for them for ever."""
    await client.add_topic(where.topic)
    while True:
        node = client.cluster.leader_for_partition(where)
        if node is None or node < 0:
            await _look_anew(client)
            continue
        request = FetchRequest(
            wait_ms,
            1,
            _MAX_BYTES,
            _READ_UNCOMMITTED,
            [(where.topic, [(where.partition, position, fetch_bytes)])],
        )
        try:
            answer = await client.send(node, request)
            [(_, [(_, code, _, *_, data)])] = answer.topics
            if code:
                raise for_code(code)
        except KafkaError as error:
            if not (error.retriable or isinstance(error, KafkaConnectionError)):
                raise
            await _look_anew(client)
            continue
        if data and MemoryRecords(data).has_next():
            return bytes(data)


async def _look_anew(client: Any) -> None:
    await asyncio.sleep(_RETRY_S)
    await client.force_metadata_update()


def _batches(data: bytes) -> Iterator[Any]:
    batches = MemoryRecords(data)
    while batches.has_next():
        yield batches.next_batch()


def _next_offset(data: bytes, position: int) -> int:
    """Return the offset that follows the last whole batch."""
    return max(position, *(int(batch.next_offset) for batch in _batches(data)))


def _lists(data: bytes, where: TopicPartition, position: int, end: int) -> Iterator[list[Record]]:
    records: list[Record] = []
    for batch in _batches(data):
        if not batch.validate_crc():
            raise CorruptRecordException(f"a batch of {where.topic}/{where.partition} is damaged")
        if batch.is_control_batch:  # a marker of a transaction is no record
            continue
        inside = batch.base_offset >= position and batch.next_offset <= end
        if inside:
            records += [(one.offset, one.key, one.value) for one in batch]
        else:
            records += [(one.offset, one.key, one.value) for one in batch if position <= one.offset < end]
        if len(records) >= _MAX_RECORDS:
            yield records
            records = []
    if records:
        yield records
