"""Append many records as whole batches: one future for a batch instead of one for each record.

A batch goes to one partition and is acknowledged as a whole; the offset of a record follows from its place.
"""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.partitioner import DefaultPartitioner

MAX_BATCH_BYTES = 262_144
"""A list has some 6 kB: aiokafka's own limit of 16 kB would send two at a time."""

KeyValue = tuple[bytes | None, bytes | None]


_FEW = 16


async def append_all(
    producer: AIOKafkaProducer, topic: str, records: Sequence[KeyValue], partition: int | None
) -> list[int]:
    """Append records, those of a partition in order; return their offsets once all are acknowledged.

    A few go one by one: they may join what others append at the same time.

    Parameters
    ----------
    partition : of all; None: by key, as every producer of Kafka places them

    Raises
    ------
    KafkaError
        As aiokafka's ``send`` and ``send_batch``.
    """
    if len(records) < _FEW or any(value is not None and len(value) > MAX_BATCH_BYTES for _, value in records):
        futures = [
            await producer.send(topic, key=key, value=value, partition=partition) for key, value in records
        ]
        return [(await future).offset for future in futures]
    return await _append_batches(producer, topic, records, partition)


async def _append_batches(
    producer: AIOKafkaProducer, topic: str, records: Sequence[KeyValue], partition: int | None
) -> list[int]:
    places: dict[int, list[int]] = defaultdict(list)
    if partition is None:
        everywhere = sorted(await producer.partitions_for(topic))
        place = DefaultPartitioner()
        for at, (key, _) in enumerate(records):
            places[place(key, everywhere, everywhere)].append(at)
    else:
        places[partition] = list(range(len(records)))
    offsets = [0] * len(records)
    waiting: list[tuple[asyncio.Future[Any], list[int]]] = []
    try:
        for where, those in places.items():
            for batch, members in _batches(producer, records, those):
                future = await producer.send_batch(batch, topic, partition=where)
                waiting.append((future, members))
        for future, members in waiting:
            first = (await future).offset
            for number, at in enumerate(members):
                offsets[at] = first + number
    finally:
        for future, _ in waiting:
            future.add_done_callback(_looked_at)
    return offsets


def _batches(
    producer: AIOKafkaProducer, records: Sequence[KeyValue], those: Sequence[int]
) -> "list[tuple[Any, list[int]]]":
    """Return closed batches of these records, each with whose they are."""
    found: list[tuple[Any, list[int]]] = []
    batch, members = producer.create_batch(), list[int]()
    for at in those:
        key, value = records[at]
        if batch.append(key=key, value=value, timestamp=None) is None:
            found.append((batch, members))
            batch, members = producer.create_batch(), []
            batch.append(key=key, value=value, timestamp=None)  # the first always fits
        members.append(at)
    batch.close()
    found.append((batch, members))
    return found


def _looked_at(future: "asyncio.Future[Any]") -> None:
    """Take note of a failure that nobody waits for any more."""
    if not future.cancelled():
        future.exception()
