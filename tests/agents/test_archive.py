"""The archive is complete below the recorded offsets: mongod killed, set back, written to by two workers."""

import asyncio
import itertools
import random
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

import pytest

from agents.archive import Archive
from agents.chart_changes import HOUR_MS
from agents.chart_counts import ChartCounts
from agents.restore import Restorer
from connections.documents import Database, ensure_indexes, open_documents
from connections.event_log import LogReader
from connections.log_writer import LogWriter
from connections.snapshot_store import SnapshotStore
from recommender.partition import Folded, PartitionState, Record
from schemas import events
from schemas.documents import ARCHIVE, ARCHIVE_POSITIONS
from schemas.errors import DocumentsUnavailable
from schemas.settings import Settings
from stack.child import Child
from stack.mongod import mongod_is_primary, prepare_mongod
from stack.parts import wait_until_ready
from tests.agents.archived import counted_tracks, summed_hours
from tests.builders import NOW_MS, event, generation, like, play, records, user_id
from tests.worlds import begin_world, send, stream

FROM_HOUR = NOW_MS // HOUR_MS - 720
PARTITIONS = 3


async def never(partition: int, start: int, end: int) -> AsyncIterator[tuple[list[Record], list[Folded]]]:
    """Stand for the log where no hole may be: what was acknowledged is there."""
    raise AssertionError(f"a hole in partition {partition}: [{start}, {end})")
    yield [], []


class Chunks:
    """Folds made-up records and submits them, chunk by chunk; knows what must be archived."""

    def __init__(self, archive: Archive) -> None:
        self.archive = archive
        self.states = [PartitionState(partition) for partition in range(PARTITIONS)]
        self.applied: list[set[int]] = [set() for _ in range(PARTITIONS)]
        self.written: list[asyncio.Future[None]] = []
        self._offsets: list[tuple[int, list[int]]] = []  # of each chunk that was submitted
        self._seq = itertools.count()
        self._draw = random.Random(1)

    def submit(self, partition: int, *some: tuple[int | None, events.Event]) -> None:
        """Fold and submit records of one partition; a forget takes away what its user did before."""
        state = self.states[partition]
        chunk = records(*some, start=state.position)
        folded = state.fold(chunk)
        offsets = [one.offset for one in folded if one.user_id is not None]
        self.applied[partition].update(offsets)
        self._offsets.append((partition, offsets))
        self.written.append(self.archive.submit("g1", partition, state.position, chunk, folded))

    def acknowledged(self) -> list[set[int]]:
        """Return the offsets of which MongoDB has said that they are written, of each partition."""
        found: list[set[int]] = [set() for _ in range(PARTITIONS)]
        for (partition, offsets), written in zip(self._offsets, self.written, strict=True):
            if written.done() and written.exception() is None:
                found[partition].update(offsets)
        return found

    def next_chunk(self) -> None:
        """Submit 20 plays of users of a partition drawn at random."""
        partition = self._draw.randrange(PARTITIONS)
        if self.states[partition].position == 0:
            self.submit(partition, (None, generation()))
        users = [PARTITIONS * self._draw.randint(1, 6) + partition for _ in range(20)]
        plays = [play(self._draw.randint(1, 9), seq=next(self._seq)) for _ in users]
        self.submit(partition, *zip(users, plays, strict=True))


async def archived_offsets(database: Database, partition: int, end: int) -> list[int]:
    """Return the archived offsets of a partition below ``end``, each as often as it is there."""
    found = database[ARCHIVE.name].find({"partition": partition, "offset": {"$lt": end}}, {"offset": 1})
    return sorted([document["offset"] async for document in found])


async def complete_below_the_recorded_offsets(database: Database, applied: Sequence[set[int]]) -> int:
    """Check that every applied event below the recorded offsets is there once; return how many there are."""
    checked = 0
    for position in await database[ARCHIVE_POSITIONS.name].find({}).to_list(None):
        partition, end = int(position["_id"].split("/")[1]), position["offset"]
        offsets = await archived_offsets(database, partition, end)
        assert offsets == sorted(offset for offset in applied[partition] if offset < end)
        checked += len(offsets)
    return checked


async def test_a_mongod_that_is_killed_amid_writing_has_what_it_acknowledged(
    tmp_path: Path, unused_port: Callable[[], int]
) -> None:
    """Archive and counting go on while mongod is killed and comes back, twice."""
    settings = Settings(data_dir=tmp_path, mongodb_port=unused_port())
    draw = random.Random(5)
    mongod = Child(prepare_mongod(settings))
    try:
        await wait_until_ready(mongod, lambda: mongod_is_primary(settings))
        async with open_documents(settings) as database:
            await ensure_indexes(database)
            archive, counts = Archive(database, never), ChartCounts(database, "g1")
            chunks = Chunks(archive)
            running = [asyncio.create_task(archive.run()), asyncio.create_task(keep_counting(counts))]
            for _ in range(2):
                for _ in range(draw.randint(20, 60)):
                    chunks.next_chunk()
                    await asyncio.sleep(0.02)
                await chunks.written[-1]  # this one has just been acknowledged
                mongod.kill()
                acknowledged = chunks.acknowledged()
                mongod = Child(prepare_mongod(settings))
                await wait_until_ready(mongod, lambda: mongod_is_primary(settings))
                for partition, offsets in enumerate(acknowledged):
                    end = chunks.states[partition].position
                    there = set(await archived_offsets(database, partition, end))
                    assert offsets <= there, f"acknowledged, and lost by the kill: {offsets - there}"
                assert await complete_below_the_recorded_offsets(database, chunks.applied) > 0
            await asyncio.wait_for(asyncio.gather(*chunks.written), 60)
            for task in running:
                assert not task.done(), task.exception()
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)

            total = sum(map(len, chunks.applied))
            assert await complete_below_the_recorded_offsets(database, chunks.applied) == total
            assert archive.complete == {p: state.position for p, state in enumerate(chunks.states)}
            counted = await counts.count(FROM_HOUR, 60.0)
            assert counted is not None
            assert counted.offsets == archive.complete
            listeners = await counted_tracks(database, "g1")
            assert listeners == await summed_hours(database, FROM_HOUR, "g1")
            assert listeners == await recounted(database)
    finally:
        mongod.stop()


async def keep_counting(counts: ChartCounts) -> None:
    """Count again and again, as the worker with the lease does."""
    while True:
        try:
            await counts.count(FROM_HOUR, 1.0)
        except DocumentsUnavailable:
            await asyncio.sleep(0.1)
        await asyncio.sleep(0.02)


async def recounted(database: Database) -> dict[int, int]:
    """Return the different listeners of each track, from all events."""
    heard = {(one["user_id"], one["track_id"]) async for one in database[ARCHIVE.name].find({"listen": True})}
    tracks = [track for _, track in heard]
    return {track: tracks.count(track) for track in tracks}


@pytest.fixture
async def database(settings: Settings) -> AsyncIterator[Database]:
    async with open_documents(settings) as opened:
        yield opened
        await opened.client.drop_database(settings.mongodb_database)


async def written(chunks: Chunks) -> None:
    """Let the archive write what was submitted."""
    task = asyncio.create_task(chunks.archive.run())
    await asyncio.wait_for(asyncio.gather(*chunks.written), 30)
    task.cancel()


async def test_what_a_mongod_that_was_set_back_lost_comes_from_the_log(
    settings: Settings, database: Database
) -> None:
    """As after MongoDB was restored from an older backup: commits in Kafka lie far beyond it."""
    name = await begin_world(settings, database)
    async with LogWriter(settings) as writer:
        await send(writer, stream(1, users=30, session="a"), 200, per_s=5_000)
        await writer.append_event(user_id(1), event(events.Forget, scope="all", seq=9, session="f"))
    restorer = Restorer(settings, SnapshotStore(settings.snapshot_location), name, lambda *_: None)
    archive = Archive(database, restorer.folded_again)
    task = asyncio.create_task(archive.run())
    async with LogReader(settings) as reader:
        ends = await reader.end_offsets()
    for partition, end in ends.items():
        async for chunk, folded in restorer.folded_again(partition, end - 1, end):  # all that Kafka delivers
            await asyncio.wait_for(archive.submit(name, partition, end, chunk, folded), 30)
    task.cancel()

    found = await database[ARCHIVE.name].find({}).to_list(None)
    sent = await logged_users(settings)
    assert sent.count(user_id(1)) > 1
    assert len(found) == len(sent) - sent.count(user_id(1)) + 1
    assert [one["type"] for one in found if one["user_id"] == user_id(1)] == ["forget"]
    assert len({(one["partition"], one["offset"]) for one in found}) == len(found)
    assert archive.complete == ends


async def logged_users(settings: Settings) -> list[str]:
    """Return the user of every user event in the log."""
    found: list[str] = []
    async with LogReader(settings) as reader:
        for partition, end in (await reader.end_offsets()).items():
            async for some in reader.read(partition, 0, end):
                found += [record.key.decode() for record in some if record.key is not None]
    return found


async def test_positions_never_come_before_their_events(settings: Settings, database: Database) -> None:
    """The order of what MongoDB was told, as its own journal of changes has it."""
    await ensure_indexes(database)
    chunks = Chunks(Archive(database, never))
    async with database.watch() as changes:
        for _ in range(30):
            chunks.next_chunk()
            if len(chunks.written) % 5 == 0:
                await written(chunks)
        await written(chunks)
        there: set[tuple[int, int]] = set()
        positions: dict[int, int] = {}
        while (change := await changes.try_next()) is not None:
            key = str(change["documentKey"]["_id"]).split("/")
            if change["ns"]["coll"] == ARCHIVE.name:
                there.add((int(key[1]), int(key[2])))
            elif change["ns"]["coll"] == ARCHIVE_POSITIONS.name:
                partition = int(key[1])
                end = (change.get("fullDocument") or change["updateDescription"]["updatedFields"])["offset"]
                below = {(partition, offset) for offset in chunks.applied[partition] if offset < end}
                assert below <= there
                positions[partition] = end

    assert positions == {p: state.position for p, state in enumerate(chunks.states)}


async def test_what_was_forgotten_stays_away_though_a_paused_worker_writes_it_again(
    settings: Settings, database: Database
) -> None:
    await ensure_indexes(database)
    await database[ARCHIVE.name].insert_one(
        {"_id": "g0/0/99", "user_id": user_id(3), "partition": 0, "offset": 99}
    )
    paused, current = Chunks(Archive(database, never)), Chunks(Archive(database, never))
    before = [(None, generation()), (3, play(1, seq=1)), (6, play(1, seq=1))]
    for one in (paused, current):
        one.submit(0, *before)
    current.submit(0, (3, event(events.Forget, scope="all", seq=2)), (3, like(7, seq=3)))
    await written(current)

    await written(paused)

    found = await database[ARCHIVE.name].find({}).sort("offset", 1).to_list(None)
    assert [(one["user_id"], one["type"], one["_id"]) for one in found] == [
        (user_id(6), "play", "g1/0/2"), (user_id(3), "forget", "g1/0/3"), (user_id(3), "like", "g1/0/4"),
    ]  # fmt: skip
    [position] = await database[ARCHIVE_POSITIONS.name].find({}).to_list(None)
    assert position == {"_id": "g1/0", "offset": 5}
