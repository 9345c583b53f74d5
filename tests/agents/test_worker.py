"""The worker as a process, on a real broker and a real mongod."""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import AsyncIterator

import pytest

from agents.snapshots import ask_for_snapshot, wait_for_snapshot
from agents.start import STEPS
from agents.verify import verify
from connections.documents import Database, open_documents
from connections.event_log import LogReader
from connections.log_writer import LogWriter
from connections.snapshot_store import SnapshotStore
from schemas import events
from schemas.documents import ARCHIVE, CHARTS, LISTS
from schemas.settings import Settings
from schemas.topics import DEAD_LETTERS, PLAYS
from tests.builders import event, like, play, user_id
from tests.programs import WorkerProcess, environment, worker_process
from tests.worlds import begin_world, newest_lists, records_of, send, settled, stream, worked_off


@pytest.fixture
async def database(settings: Settings) -> AsyncIterator[Database]:
    async with open_documents(settings) as opened:
        yield opened
        await opened.client.drop_database(settings.mongodb_database)


@pytest.fixture
async def worker(settings: Settings, database: Database) -> AsyncIterator[WorkerProcess]:
    quick = settings.model_copy(update={"charts_interval_s": 0.5})
    await begin_world(quick, database)
    with worker_process(quick) as one:
        one.start()
        await one.until_alive()
        yield one


async def test_each_user_gets_a_list_that_names_its_cause_and_hops(worker: WorkerProcess) -> None:
    async with LogWriter(worker.settings) as writer:
        await writer.append_event(user_id(1), play(7, session="s", seq=1))
        offset = await writer.append_event(user_id(1), like(9, session="s", seq=2))
    await settled(worker.settings, [worker.port], worked_off)

    found = (await newest_lists(worker.settings))[user_id(1)]

    assert found.offset == offset
    assert found.cause is not None
    assert (found.cause.type, found.cause.seq, found.cause.track_id) == ("like", 2, 9)
    assert (found.model_id, found.catalogue_version) == (None, "v1")
    assert len({item.track_id for item in found.items}) == worker.settings.list_length
    assert found.timings.accepted_ms <= found.timings.folded_ms <= found.timings.ranked_ms


async def test_hidden_tracks_and_artists_are_never_in_a_list(worker: WorkerProcess) -> None:
    hides = [event(events.Hide, track_id=track, seq=track) for track in range(1, 20)]
    artists = [event(events.Hide, artist_id=artist, seq=50 + artist) for artist in (1, 2, 3)]
    async with LogWriter(worker.settings) as writer:
        for one in (*hides, *artists):
            await writer.append_event(user_id(1), one)
    await settled(worker.settings, [worker.port], worked_off)

    listed = {item.track_id for item in (await newest_lists(worker.settings))[user_id(1)].items}

    assert not listed & set(range(1, 20))
    assert not {track % 12 + 1 for track in listed} & {1, 2, 3}


async def test_events_that_come_again_have_effect_once(worker: WorkerProcess) -> None:
    async with LogWriter(worker.settings) as writer:
        for _ in range(3):
            for seq in range(10):
                await writer.append_event(user_id(2), play(seq + 1, seq=seq))

    result = await settled(worker.settings, [worker.port], worked_off)

    assert (result["applied"], result["duplicates"]) == (10, 20)
    assert (result["lost"], result["double"]) == (0, 0)


async def test_bad_records_become_dead_letters_and_delay_nobody(worker: WorkerProcess) -> None:
    bad = [(b"not a user", events.encode(play())), (user_id(1).encode(), b"{"), (user_id(1).encode(), None)]
    async with LogWriter(worker.settings) as writer:
        await writer.append(PLAYS, bad)
        await writer.append_event(user_id(1), play(1))

    result = await settled(worker.settings, [worker.port], worked_off)
    letters = [json.loads(value or b"") for _, value in await records_of(worker.settings, DEAD_LETTERS)]

    assert (result["applied"], result["dead"]) == (1, 3)
    assert len(letters) == 3
    assert all(letter["reason"] and letter["offset"] >= 0 for letter in letters)


async def test_each_offset_is_in_one_of_five_classes_by_the_audit_and_by_the_metrics(
    worker: WorkerProcess,
) -> None:
    """By `segue audit --json` and by the metrics, in every partition; they add up to the position."""
    settings = worker.settings
    async with LogWriter(settings) as writer:
        for user in range(1, 30):
            for seq in (100, 100, 1, 101):  # new, duplicate, late (more than 64 behind), new
                await writer.append_event(user_id(user), play(user, seq=seq))
            await writer.append(PLAYS, [(user_id(user).encode(), b"{")])
        await ask_for_snapshot(writer)
    await settled(settings, [worker.port], worked_off)

    command = [sys.executable, "-m", "agents", "audit", "--json", "--port", str(worker.port)]
    ran = await asyncio.to_thread(
        subprocess.run, command, env=environment(settings), capture_output=True, text=True, check=True
    )
    metrics = await worker.metrics()

    audited = json.loads(ran.stdout)
    totals = {name: audited[name] for name in ("applied", "duplicates", "late", "dead", "control")}
    each = PLAYS.partitions
    assert totals == {"applied": 58, "duplicates": 29, "late": 29, "dead": 29, "control": 2 * each}
    assert [one["partition"] for one in audited["partitions"]] == list(range(each))
    for one in audited["partitions"]:
        counted = {
            name: metrics[f'segue_offsets{{class="{label}",partition="{one["partition"]}"}}']
            for name, label in (("duplicates", "duplicate"), *((n, n) for n in totals if n != "duplicates"))
        }
        assert counted == {name: one[name] for name in totals}
        assert sum(counted.values()) == metrics[f'segue_position{{partition="{one["partition"]}"}}']


async def test_the_steps_of_a_start_are_told_by_metrics_in_their_order(worker: WorkerProcess) -> None:
    async with LogWriter(worker.settings) as writer:
        await writer.append_event(user_id(1), play(1))
    await settled(worker.settings, [worker.port], worked_off)

    metrics = await worker.metrics()

    times = {step: metrics.get(f'segue_start_time_seconds{{step="{step}"}}') for step in STEPS}
    chain = [times[step] for step in ("told", "loaded", "log found", "connected", "assigned", "list")]
    assert chain == sorted(chain)  # type: ignore[type-var]
    assert chain[0] > time.time() - 120  # type: ignore[operator]
    assert times["assigned"] <= times["restored"]  # type: ignore[operator]
    assert times["catalogue"] <= times["list"]  # type: ignore[operator]
    assert times["model"] is None, "charts serve"


async def test_applied_events_are_archived_once_and_make_the_charts(
    worker: WorkerProcess, database: Database
) -> None:
    now_ms = time.time_ns() // 1_000_000
    async with LogWriter(worker.settings) as writer:
        for user in (1, 2, 3):
            for _ in range(2):
                await writer.append_event(user_id(user), play(5, seq=1, server_time_ms=now_ms))
        await writer.append_event(user_id(1), play(6, seq=2, server_time_ms=now_ms))

    charts = None
    for _ in range(200):
        charts = await database[CHARTS.name].find_one(sort=[("created_ms", -1)])
        if charts is not None and len(charts["items"]) == 2:
            break
        await asyncio.sleep(0.1)

    assert charts is not None
    assert charts["items"] == [{"track_id": 5, "count": 3}, {"track_id": 6, "count": 1}]
    assert await database[ARCHIVE.name].count_documents({}) == 4


async def test_forgetting_all_empties_the_archive_up_to_it(worker: WorkerProcess, database: Database) -> None:
    async with LogReader(worker.settings) as reader:
        of_the_log = {"generation": await reader.generation(), "partition": 0, "seq": 1, "value": b""}
    for user in (1, 2):  # as they lie there after a training
        await database[LISTS.name].insert_one({"_id": user_id(user), "offset": 0, **of_the_log})
    async with LogWriter(worker.settings) as writer:
        for seq in range(5):
            await writer.append_event(user_id(1), play(5, seq=seq))
        await writer.append_event(user_id(2), play(5, seq=1))
        await writer.append_event(user_id(1), event(events.Forget, scope="all", seq=6))
        await writer.append_event(user_id(1), play(7, seq=7))
    await settled(worker.settings, [worker.port], worked_off)

    types: list[str] = []
    for _ in range(100):
        found = database[ARCHIVE.name].find({"user_id": user_id(1)}).sort("offset", 1)
        types = [document["type"] async for document in found]
        if types == ["forget", "play"]:
            break
        await asyncio.sleep(0.1)

    assert types == ["forget", "play"]
    assert await database[ARCHIVE.name].count_documents({"user_id": user_id(2)}) == 1
    assert await database[LISTS.name].distinct("_id") == [user_id(2)]


async def test_a_snapshot_is_the_fold_below_its_cut_and_the_next_worker_begins_there(
    worker: WorkerProcess,
) -> None:
    settings = worker.settings
    async with LogWriter(settings) as writer:
        await send(writer, stream(1, users=30, session="a"), 300, per_s=2_000)
        snapshot_id = await ask_for_snapshot(writer)
        store = SnapshotStore(settings.snapshot_location)
        async with LogReader(settings) as reader:
            generation = await reader.generation()
        manifest = await wait_for_snapshot(store, generation, snapshot_id, timeout_s=60)
        await send(writer, stream(2, users=30, session="b"), 100, per_s=2_000)

    assert manifest.counts["applied"] == 300
    assert (await verify(settings, snapshot_id))["equal"] is True
    assert worker.stop() == 0
    worker.start()
    result = await settled(settings, [worker.port], lambda found: found["applied"] == 400)
    assert (result["applied"], result["lost"], result["double"]) == (400, 0, 0)
    assert '"cut": 0, "position"' not in worker.log.read_text().split(snapshot_id)[-1]


async def test_a_worker_refuses_a_log_that_is_not_there(settings: Settings) -> None:
    with worker_process(settings) as one:
        one.start()
        assert one.process is not None
        assert await asyncio.to_thread(one.process.wait, 60) == 1

        assert "segue topics" in one.log.read_text()
