"""On a real broker."""

import asyncio

import pytest

from connections import event_log
from connections.event_log import LogReader
from connections.log_topics import create_topics, ensure_topics
from connections.log_writer import LogWriter
from schemas import events
from schemas.errors import LogMismatch, LogUnavailable
from schemas.settings import Settings
from schemas.topics import IMPRESSIONS, PLAYS
from tests.builders import NOW_MS, play, user_id


async def test_a_new_log_gets_one_name_in_every_partition_and_keeps_it(settings: Settings) -> None:
    generation = await ensure_topics(settings)
    again = await ensure_topics(settings)

    async with LogReader(settings) as reader:
        assert await reader.generation() == generation == again
        assert await reader.end_offsets() == dict.fromkeys(range(PLAYS.partitions), 1)


async def test_naming_a_log_that_was_interrupted_goes_on_with_the_same_name(settings: Settings) -> None:
    await create_topics(settings)
    begun = events.Generation(generation="begun", partitions=PLAYS.partitions, server_time_ms=NOW_MS)
    async with LogWriter(settings) as writer:
        await writer.append(PLAYS, [(None, events.encode(begun))], partition=4)

    assert await ensure_topics(settings) == "begun"
    async with LogReader(settings) as reader:
        assert await reader.end_offsets() == dict.fromkeys(range(PLAYS.partitions), 1)


async def test_a_log_that_segue_did_not_begin_is_refused(settings: Settings) -> None:
    await ensure_topics(settings)
    foreign = IMPRESSIONS

    async with LogWriter(settings) as writer:
        await writer.append(foreign, [(None, b"{}")], partition=0)
    async with LogReader(settings, foreign) as reader:
        with pytest.raises(LogMismatch, match="does not begin with the name of its log"):
            await reader.first_name(0)


async def test_a_topic_that_is_missing_or_empty_is_named_with_what_makes_it(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_log, "_METADATA_S", 1.0)
    monkeypatch.setattr(event_log, "_NAME_WITHIN_S", 1.0)
    async with LogReader(settings) as reader:
        with pytest.raises(LogMismatch, match=r"no topic .*plays: `segue topics`"):
            await reader.generation()
        await create_topics(settings)
        with pytest.raises(LogUnavailable, match=r"partition 0 of .*plays is empty: .*`segue topics`"):
            await reader.generation()


async def test_appended_records_are_read_back_in_order_up_to_the_end_asked_for(settings: Settings) -> None:
    await ensure_topics(settings)
    values = [events.encode(play(seq=seq)) for seq in range(2_000)]
    key = user_id(1).encode()

    async with LogWriter(settings) as writer, LogReader(settings) as reader:
        offsets = await writer.append(PLAYS, [(key, value) for value in values], partition=5)
        found = [record async for some in reader.read(5, 1, 1_501) for record in some]

    assert offsets == list(range(1, 2_001))
    assert [record.value for record in found] == values[:1_500]
    assert {record.key for record in found} == {key}


async def test_a_control_record_goes_into_every_partition(settings: Settings) -> None:
    await ensure_topics(settings)

    async with LogWriter(settings) as writer:
        barrier = events.Barrier(snapshot_id="s", server_time_ms=NOW_MS)
        offsets = await writer.append_control(barrier)

    assert offsets == dict.fromkeys(range(PLAYS.partitions), 1)


async def test_events_of_one_user_stay_in_one_partition(settings: Settings) -> None:
    await ensure_topics(settings)

    async with LogWriter(settings) as writer:
        offsets = [await writer.append_event(user_id(7), play(seq=seq)) for seq in range(5)]

    assert offsets == [1, 2, 3, 4, 5]


async def test_a_broker_that_is_not_there_is_named(settings: Settings) -> None:
    away = settings.model_copy(update={"kafka_port": 9})

    with pytest.raises(LogUnavailable, match=r"127\.0\.0\.1:9"):
        async with asyncio.timeout(30), LogWriter(away, timeout_s=2.0):
            pass
