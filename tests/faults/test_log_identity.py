"""F25: the log is made anew under its name, loses its beginning, or gets other partitions.

The worker refuses in a clear sentence, and one that is started on the new log builds everything from it.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, RecordsToDelete

from connections.documents import open_documents
from connections.event_log import LogReader, topic_name
from connections.log_topics import ensure_topics
from connections.log_writer import LogWriter
from schemas import events
from schemas.recommendations import Recommendations, decode_recommendations
from schemas.topics import PLAYS, RECOMMENDATIONS
from tests.builders import play, user_id
from tests.conftest import Embedded
from tests.faults.ledger import Ledger, Tally
from tests.faults.load import Acknowledged
from tests.faults.scene import World, archive_holds, count, folded_to_the_end, held_once, world_in
from tests.programs import WorkerProcess
from tests.worlds import TRACKS_MADE, records_of

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]


@pytest.fixture(scope="module")
def world(embedded: Embedded, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Yield a world whose sessions outlive a pause in which the log is made anew."""
    ports = {"kafka_port": embedded.kafka_port, "mongodb_port": embedded.mongodb_port}
    with world_in(tmp_path_factory.mktemp("world"), session_timeout_s=25.0, **ports) as one:
        yield one


@asynccontextmanager
async def _admin(world: World) -> AsyncIterator[AIOKafkaAdminClient]:
    admin = AIOKafkaAdminClient(bootstrap_servers=world.settings.kafka_address)
    await admin.start()
    try:
        yield admin
    finally:
        await admin.close()


async def _made_anew(world: World) -> str:
    """Delete the log and make one of the same name; return its generation."""
    name = topic_name(world.settings, PLAYS)
    async with _admin(world) as admin:
        await admin.delete_topics([name])
        while name in await admin.list_topics():
            await asyncio.sleep(0.1)
    for known in world.counted:
        world.counted[known] = 0
    return await ensure_topics(world.settings)


async def _played(world: World, users: range, times: int) -> Acknowledged:
    """Append plays of every user; return them."""
    acknowledged = Acknowledged()
    async with LogWriter(world.settings) as writer:
        for seq in range(times):
            some = [(user_id(n), play((n + seq) % TRACKS_MADE + 1, session="anew", seq=seq)) for n in users]
            await writer.append(PLAYS, [(user.encode(), events.encode(event)) for user, event in some])
            for user, event in some:
                acknowledged.note(user, event)
    return acknowledged


async def _exact(world: World, ledger: Ledger, what: str, generation: str, sent: Acknowledged) -> None:
    """Everything of this log had its effect, on state, lists and archive, and nothing of another."""
    tally = Tally("F25", what, ledger.next_seed("F25"), kills=1)
    tally.sent = tally.acknowledged = len(sent.accepted)
    await count(world, tally, sent)
    ledger.note(tally)
    assert (tally.applied, tally.lost, tally.double) == (tally.acknowledged, 0, 0)
    async with open_documents(world.settings) as database:
        await archive_holds(database, tally.applied, of_log=generation)


async def _refused(worker: WorkerProcess, sentence: str, hung_after_s: float = 60.0) -> None:
    """The worker ends by itself, says why in one sentence, and exits with 1."""
    assert worker.process is not None
    assert await asyncio.to_thread(worker.process.wait, hung_after_s) == 1
    said = [line for line in worker.log.read_text().splitlines() if line.startswith("segue: ")]
    assert said, worker.log.read_text()[-3_000:]
    assert sentence in said[-1]


async def test_f25_a_log_made_anew_is_never_taken_for_the_old_one(world: World, ledger: Ledger) -> None:
    """While no worker runs, under one that runs, and under one that is paused until the new one is longer."""
    worker = await world.worker("first")
    await held_once(world, ["first"])
    await _played(world, world.fresh_users(60), 5)

    # while no worker runs
    worker.stop()
    generation = await _made_anew(world)
    sent = await _played(world, world.fresh_users(60), 5)
    await world.worker("first")
    await _exact(world, ledger, "log made anew while no worker ran", generation, sent)

    # under a worker that runs
    generation = await _made_anew(world)
    await _refused(worker, "made anew")
    await _played(world, world.fresh_users(60), 5)
    await world.worker("first")
    await folded_to_the_end(world)
    await _answered(world, generation)

    # under a worker that is paused, and longer than the old one when it wakes
    old = generation
    async with LogReader(world.settings) as reader:
        ends = await reader.end_offsets()
    worker.pause()
    paused = time.monotonic()
    generation = await _made_anew(world)
    sent = await _played(world, world.fresh_users(60), 10)
    await asyncio.sleep(max(0.0, paused + 6.0 - time.monotonic()))
    worker.go_on()
    await _refused(worker, "made anew")
    lists = await _lists(world, old)
    assert lists
    assert all(one.offset < ends[one.partition] for one in lists), "a list was made from records of two logs"
    await world.worker("first")
    await _exact(world, ledger, "log made anew under a paused worker", generation, sent)


async def _lists(world: World, generation: str) -> list[Recommendations]:
    """Return the lists that were made from one log."""
    found = await records_of(world.settings, RECOMMENDATIONS)
    lists = [decode_recommendations(value or b"") for _, value in found]
    return [one for one in lists if one.generation == generation]


async def _answered(world: World, generation: str, hung_after_s: float = 60.0) -> None:
    """Wait until a list was made from this log: lists come a moment after the fold."""
    until = time.monotonic() + hung_after_s
    while not await _lists(world, generation):
        assert time.monotonic() < until, "folded, but no list came"
        await asyncio.sleep(0.1)


async def test_f25_a_log_without_its_beginning_is_refused(world: World) -> None:
    worker = await world.worker("first")
    worker.stop()
    await _played(world, world.fresh_users(60), 5)
    name = topic_name(world.settings, PLAYS)
    async with _admin(world) as admin:
        await admin.delete_records({TopicPartition(name, 0): RecordsToDelete(before_offset=3)})

    worker.start()

    await _refused(worker, "its records were deleted")
    await _made_anew(world)


async def test_f25_a_log_with_more_partitions_is_refused(world: World) -> None:
    worker = await world.worker("first")
    await held_once(world, ["first"])
    async with _admin(world) as admin:
        await admin.create_partitions({topic_name(world.settings, PLAYS): NewPartitions(total_count=13)})

    await _refused(worker, "has 13 partitions, not 12")
    worker.start()
    await _refused(worker, "has 13 partitions, not 12")
    await _made_anew(world)
