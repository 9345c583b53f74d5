"""The embedded parts, started for real."""

import signal
from collections.abc import Callable
from pathlib import Path

from connections.documents import ensure_indexes, open_documents, wait_until_writable
from connections.event_log import LogReader
from connections.log_topics import ensure_topics
from connections.log_writer import LogWriter
from schemas.settings import Settings
from schemas.topics import PLAYS
from stack.child import Child
from stack.kafka import kafka_answers, prepare_kafka
from stack.mongod import mongod_is_primary, prepare_mongod
from stack.parts import wait_until_ready


async def test_the_embedded_parts_take_topics_and_majority_writes(settings: Settings) -> None:
    generation = await ensure_topics(settings)
    assert await ensure_topics(settings) == generation
    async with open_documents(settings) as database:
        await wait_until_writable(database)
        await ensure_indexes(database)


async def test_what_was_acknowledged_is_there_after_all_parts_were_killed(
    tmp_path: Path, unused_port: Callable[[], int]
) -> None:
    settings = Settings(
        data_dir=tmp_path,
        kafka_port=unused_port(),
        kafka_controller_port=unused_port(),
        mongodb_port=unused_port(),
    )

    async def start() -> list[Child]:
        children = [Child(prepare_mongod(settings)), Child(prepare_kafka(settings))]
        await wait_until_ready(children[0], lambda: mongod_is_primary(settings))
        await wait_until_ready(children[1], lambda: kafka_answers(settings))
        return children

    children = await start()
    try:
        generation = await ensure_topics(settings)
        async with LogWriter(settings) as writer:
            [offset] = await writer.append(PLAYS, [(b"0" * 32, b"kept")], partition=3)
        async with open_documents(settings) as database:
            await wait_until_writable(database)
            await database["accounts"].insert_one({"_id": "kept"})
        for child in children:
            assert child.kill() == -signal.SIGKILL
        children = await start()
        assert await ensure_topics(settings) == generation
        async with LogReader(settings) as reader:
            records = [record async for lot in reader.read(3, offset, offset + 1) for record in lot]
        assert [record.value for record in records] == [b"kept"]
        async with open_documents(settings) as database:
            await wait_until_writable(database)
            assert await database["accounts"].find_one({"_id": "kept"}) == {"_id": "kept"}
    finally:
        codes = [child.stop() for child in children]
    assert codes == [0, 143]  # Java ends with 128 + SIGTERM
