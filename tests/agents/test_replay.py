"""A replay from the log alone, on a real broker: the workers' hashes without the workers."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rich.console import Console

from agents.parts import header_of, newest_state, read_part
from agents.replay.cut import cut_until
from agents.replay.folding import Job, Progress, StopAsked, fold_partition
from agents.replay.run import Request, _expected, replay
from agents.snapshots import ask_for_snapshot, wait_for_snapshot
from agents.verify import verify
from connections.documents import open_documents
from connections.event_log import LogReader
from connections.log_topics import ensure_topics
from connections.log_writer import LogWriter
from connections.replay_store import ReplayStore
from recommender.encoding import EMPTY
from recommender.history import FOLD_VERSION
from recommender.partition import PartitionState
from schemas import events
from schemas.errors import HoleInLog, InvalidInput, InvalidSnapshot, LogMismatch
from schemas.settings import Settings
from schemas.snapshots import Manifest, ReplayPlan
from schemas.topics import PLAYS
from tests.builders import event, play, user_id
from tests.programs import environment, worker_process
from tests.worlds import begin_world, send, stream

_QUIET = Console(quiet=True)


@pytest.fixture
async def log(settings: Settings) -> tuple[Settings, str]:
    """A log of 600 events of 40 users, bad records, a model and control records among them."""
    generation = await ensure_topics(settings)
    async with LogWriter(settings) as writer:
        await _fill(writer, "a", 300)
        await writer.append_control(events.Activate(model_id="m1", seq=1, server_time_ms=1))
        await writer.append(PLAYS, [(b"nobody", b"{}"), (user_id(1).encode(), b"{")])
        await writer.append_event(user_id(2), event(events.Forget, scope="all", session="f"))
        await _fill(writer, "b", 300)
    return settings, generation


async def _fill(writer: LogWriter, session: str, count: int) -> None:
    source = stream(len(session), users=40, session=session)
    made = [next(source) for _ in range(count)]
    await writer.append(PLAYS, [(user.encode(), events.encode(one)) for user, one in (*made, *made[:20])])


def _digests(manifest: Manifest | None) -> dict[int, str]:
    assert manifest is not None
    return {part.partition: part.digest for part in manifest.parts}


async def _replay(settings: Settings, **asked: object) -> dict[str, object]:
    request = replace(Request(processes=1), **asked)  # type: ignore[arg-type]
    return await asyncio.to_thread(replay, settings, request, _QUIET, threading.Event())


def _start(settings: Settings, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "agents", "replay", *arguments],
        env=environment(settings),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


async def test_a_replay_has_the_hashes_of_the_workers_snapshot_at_the_same_cut(settings: Settings) -> None:
    async with open_documents(settings) as database:
        generation = await begin_world(settings, database)
        store = ReplayStore(settings.snapshot_location)
        with worker_process(settings) as worker:
            worker.start()
            await worker.until_alive()
            async with LogWriter(settings) as writer:
                await send(writer, stream(1, users=30, session="a"), 300, per_s=2_000)
                await writer.append(PLAYS, [(b"nobody", b"{}")])
                snapshot_id = await ask_for_snapshot(writer)
                await send(writer, stream(2, users=30, session="b"), 100, per_s=2_000)
            theirs = await wait_for_snapshot(store, generation, snapshot_id, timeout_s=60)
            worker.stop()
        await database.client.drop_database(settings.mongodb_database)

    process = _start(settings, "--like", snapshot_id, "--check", "--json", "--processes", "2")
    out, err = await asyncio.to_thread(process.communicate)
    assert process.returncode == 0, err
    result = json.loads(out)
    ours = store.manifest(generation, result["snapshot_id"])

    assert result["check"] == {"snapshot_id": snapshot_id, "equal": True, "differing": []}
    assert _digests(ours) == _digests(theirs)
    assert result["folded"] == sum(theirs.cut.values())
    assert result["begun_at"] == dict.fromkeys(map(str, range(PLAYS.partitions)), 0)
    assert (result["counts"], result["users"]) == (theirs.counts, theirs.users)
    assert (await verify(settings, result["snapshot_id"]))["equal"] is True


async def test_a_replay_begins_at_the_newest_part_below_and_from_the_beginning_if_asked(
    log: tuple[Settings, str],
) -> None:
    settings, generation = log
    first = await _replay(settings)
    async with LogWriter(settings) as writer:
        await _fill(writer, "c", 100)

    second = await _replay(settings)
    whole = await _replay(settings, from_beginning=True)

    store = ReplayStore(settings.snapshot_location)
    manifests = [store.manifest(generation, str(one["snapshot_id"])) for one in (second, whole)]
    assert second["begun_at"] == first["cut"]
    assert (second["folded"], whole["begun_at"]) == (120, dict.fromkeys(range(PLAYS.partitions), 0))
    assert _digests(manifests[0]) == _digests(manifests[1])
    assert second["snapshot_id"] != whole["snapshot_id"]


async def test_asking_again_for_what_is_complete_folds_nothing(log: tuple[Settings, str]) -> None:
    settings, _ = log
    first = await _replay(settings)

    again = await _replay(settings)

    assert (again["snapshot_id"], again["folded"]) == (first["snapshot_id"], 0)
    assert again["counts"] == first["counts"]


async def test_a_replay_that_was_killed_goes_on_and_ends_like_an_undisturbed_one(
    log: tuple[Settings, str],
) -> None:
    settings, generation = log
    process = _start(settings, "--from-beginning", "--processes", "2", "--json")
    folder = settings.data_dir / "snapshots" / generation
    await _until(lambda: any(folder.glob("replay-*/part-*.parquet")), process)
    process.kill()  # alone: its children must end by themselves
    process.communicate()
    [plan] = ReplayStore(settings.snapshot_location).plans(generation)
    stood = len(list(folder.glob("replay-*/part-*.parquet")))

    resumed = await _replay(settings, resume=plan.snapshot_id)
    undisturbed = await _replay(settings.model_copy(update={"data_dir": settings.data_dir / "other"}))

    assert 0 < stood < PLAYS.partitions
    assert sum(at > 0 for at in resumed["begun_at"].values()) == stood  # type: ignore[attr-defined]
    assert resumed["cut"] == undisturbed["cut"]
    other = ReplayStore((settings.data_dir / "other" / "snapshots").resolve().as_uri())
    ours = ReplayStore(settings.snapshot_location).manifest(generation, plan.snapshot_id)
    assert _digests(ours) == _digests(other.manifest(generation, str(undisturbed["snapshot_id"])))
    assert sorted(path.suffix for path in (folder / plan.snapshot_id).iterdir()) == sorted(
        [".parquet"] * PLAYS.partitions + [".json"] * 2
    )


@pytest.mark.parametrize("processes", ["1", "2"])
async def test_an_interrupted_replay_says_how_to_go_on(log: tuple[Settings, str], processes: str) -> None:
    settings, generation = log
    process = _start(settings, "--processes", processes)
    folder = settings.data_dir / "snapshots" / generation
    await _until(lambda: any(folder.glob("replay-*/part-*.parquet")), process)
    os.killpg(process.pid, signal.SIGINT)
    _, err = await asyncio.to_thread(process.communicate)
    [plan] = ReplayStore(settings.snapshot_location).plans(generation)

    assert process.returncode == 1
    assert f"go on by `segue replay --resume {plan.snapshot_id}`" in err
    assert "Traceback" not in err
    assert (await _replay(settings, resume=plan.snapshot_id))["cut"] == plan.cut


async def test_what_a_stopped_partition_folded_stays_as_a_checkpoint(log: tuple[Settings, str]) -> None:
    settings, generation = log
    store = ReplayStore(settings.snapshot_location)
    async with LogReader(settings) as reader:
        plan = _plan(generation, await reader.end_offsets())
        job = Job(settings, plan, checkpoint_s=1e9)
        told: list[Progress] = []

        def stop(progress: Progress) -> None:
            told.append(progress)
            if not progress.begun:
                raise StopAsked

        with pytest.raises(StopAsked):
            await fold_partition(job, store, reader, 0, stop)
        reached = told[-1].position
        assert not store.parts(generation, plan.snapshot_id, 1)
        await fold_partition(job, store, reader, 0, told.append)

    assert told[-1 if reached == plan.cut[0] else -2] == Progress(0, reached, begun=True)
    assert store.checkpoint_header(generation, plan.snapshot_id, 0) is None
    header = store.part_header(generation, plan.snapshot_id, 0)
    assert header is not None
    assert header.cut == plan.cut[0]
    assert read_part(store, header).digest() == header.digest


async def test_a_long_partition_is_checkpointed_and_a_damaged_checkpoint_is_passed_over(
    log: tuple[Settings, str],
) -> None:
    settings, generation = log
    store = ReplayStore(settings.snapshot_location)
    async with LogReader(settings) as reader:
        plan = _plan(generation, await reader.end_offsets())
        seen = []

        def look(progress: Progress) -> None:
            header = store.checkpoint_header(generation, plan.snapshot_id, 1)
            seen.append((progress, header))
            if header is not None:
                raise InterruptedError  # as hard as a kill: nothing more is written

        await _fold_in_steps(Job(settings, plan, checkpoint_s=0.0), store, reader, look)
        assert seen[-1][1] is not None
        path = settings.data_dir / "snapshots" / generation / plan.snapshot_id / "checkpoint-01.parquet"
        path.write_bytes(path.read_bytes()[:-50])
        assert _expected(store, plan)[1] == 0
        told: list[Progress] = []
        await fold_partition(Job(settings, plan, 1e9), store, reader, 1, told.append)

    assert told[0] == Progress(1, 0, begun=True)


@pytest.mark.parametrize("damage", ["cut off", "another user's history"])
async def test_a_part_of_its_own_that_is_damaged_is_folded_again(
    log: tuple[Settings, str], damage: str
) -> None:
    settings, generation = log
    store = ReplayStore(settings.snapshot_location)
    async with LogReader(settings) as reader:
        ends = await reader.end_offsets()
        plan = _plan(generation, ends)
        job = Job(settings, plan, checkpoint_s=1e9)
        longest = max(ends, key=lambda partition: ends[partition])
        await fold_partition(job, store, reader, longest, lambda _: None)
        header = store.part_header(generation, plan.snapshot_id, longest)
        path = settings.data_dir / "snapshots" / generation / plan.snapshot_id / f"part-{longest:02d}.parquet"
        if damage == "cut off":
            path.write_bytes(path.read_bytes()[:-50])
        else:
            table = pq.read_table(path)
            histories = [EMPTY, *table["history"].to_pylist()[1:]]
            pq.write_table(table.set_column(1, "history", pa.array(histories, pa.binary())), path)
        told: list[Progress] = []
        await fold_partition(job, store, reader, longest, told.append)
        assert header is not None
        assert told[0] == Progress(longest, 0, begun=True)
        assert read_part(store, header).digest() == header.digest
        told.clear()
        await fold_partition(job, store, reader, longest, told.append)
        assert told == [Progress(longest, ends[longest], begun=True)]


async def _fold_in_steps(job: Job, store: ReplayStore, reader: LogReader, look: object) -> None:
    class OneByOne:
        first_name = reader.first_name

        async def read_tuples(self, partition: int, start: int, end: int) -> AsyncIterator[object]:
            async for records in reader.read_tuples(partition, start, end):
                for record in records:
                    yield [record]

    with pytest.raises(InterruptedError):
        await fold_partition(job, store, OneByOne(), 1, look)  # type: ignore[arg-type]


def _plan(generation: str, cut: dict[int, int]) -> ReplayPlan:
    return ReplayPlan(
        snapshot_id="replay-test",
        generation=generation,
        fold_version=FOLD_VERSION,
        cut=cut,
        from_beginning=True,
        created_ms=1,
    )


async def test_until_cuts_below_the_first_event_accepted_at_or_after_a_time(settings: Settings) -> None:
    await ensure_topics(settings)
    user = user_id(1)
    async with LogWriter(settings) as writer:
        offsets = [
            await writer.append_event(user, play(1, seq=seq, server_time_ms=_now())) for seq in range(3)
        ]
        await asyncio.sleep(0.02)
        until_ms = _now()
        await asyncio.sleep(0.02)
        # accepted before the time, sent after it
        late = await writer.append_event(user, play(2, seq=3, server_time_ms=until_ms - 1))
        await writer.append(PLAYS, [(user.encode(), b"{")])
        first = await writer.append_event(user, play(3, seq=4, server_time_ms=until_ms))
    async with LogReader(settings) as reader:
        cut = await cut_until(reader, until_ms)
        ends = await reader.end_offsets()
        with pytest.raises(InvalidInput, match=r"the log was begun at 20.*nothing before 2020-01-01"):
            await cut_until(reader, 1_577_836_800_000)

    [home] = [partition for partition, end in ends.items() if end > 1]
    assert (offsets, late, first) == ([1, 2, 3], 4, 6)
    assert cut == dict.fromkeys(ends, 1) | {home: 6}
    result = await _replay(settings, until=_iso(until_ms))
    assert (result["cut"], result["counts"]) == (cut, {"applied": 4, "control": 12, "dead": 1})


def _now() -> int:
    return time.time_ns() // 1_000_000


def _iso(time_ms: int) -> str:
    whole = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(time_ms / 1000))
    return f"{whole}.{time_ms % 1000:03d}+00:00"


async def test_an_old_cut_is_never_the_newest_and_is_not_pruned_by_the_workers(
    log: tuple[Settings, str],
) -> None:
    settings, generation = log
    store = ReplayStore(settings.snapshot_location)
    result = await _replay(settings)

    assert store.manifests(generation) == []
    assert store.incomplete(generation) == []
    assert store.prune(generation, keep=0) == []
    with pytest.raises(InvalidSnapshot, match="no complete snapshot"):
        await verify(settings, None)
    for partition, cut in result["cut"].items():  # type: ignore[attr-defined]
        assert newest_state(store, generation, partition, cut).position == cut
        assert newest_state(store, generation, partition, cut - 1).position == 0


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"0": 10**9}, "offset 1000000000 of partition 0 is beyond its end"),
        ({"3": 0}, "offset 0 of partition 3 leaves nothing"),
        ({"3": None}, r"missing for partition\(s\) 3"),
        ({"12": 1}, "there is no partition 12"),
        ({"0": "x"}, "'x' is no offset"),
        ({"0": 1.5}, "1.5 is no offset"),
    ],
)
async def test_offsets_outside_the_log_are_refused(
    log: tuple[Settings, str], tmp_path: Path, changed: dict[str, object], said: str
) -> None:
    settings, _ = log
    given = {**{str(p): 1 for p in range(PLAYS.partitions)}, **changed}
    path = tmp_path / "offsets.json"
    path.write_text(json.dumps({name: offset for name, offset in given.items() if offset is not None}))

    with pytest.raises(InvalidInput, match=said):
        await _replay(settings, offsets=path)


async def test_offsets_come_from_a_manifest_and_those_of_another_log_are_refused(
    log: tuple[Settings, str], tmp_path: Path
) -> None:
    settings, generation = log
    first = await _replay(settings)
    path = settings.data_dir / "snapshots" / generation / str(first["snapshot_id"]) / "manifest.json"

    same = await _replay(settings, offsets=path, from_beginning=True)

    foreign = tmp_path / "foreign.json"
    foreign.write_text(path.read_text().replace(generation, "another"))
    assert same["cut"] == first["cut"]
    with pytest.raises(LogMismatch, match="is of log another"):
        await _replay(settings, offsets=foreign)
    with pytest.raises(InvalidInput, match="cannot be read as JSON"):
        await _replay(settings, offsets=tmp_path / "missing.json")
    with pytest.raises(InvalidInput, match="there is no replay replay-x"):
        await _replay(settings, resume="replay-x")


async def test_a_record_of_another_log_is_refused_with_its_place(log: tuple[Settings, str]) -> None:
    settings, generation = log
    async with LogReader(settings) as reader:
        at = (await reader.end_offsets())[5]
    foreign = events.Generation(generation="elsewhere", partitions=12, server_time_ms=1)
    async with LogWriter(settings) as writer:
        await writer.append(PLAYS, [(None, events.encode(foreign))], partition=5)

    with pytest.raises(LogMismatch, match=rf"partition 5 names log elsewhere at offset {at}"):
        await _replay(settings)
    process = _start(settings, "--processes", "2")
    _, err = await asyncio.to_thread(process.communicate)
    assert (process.returncode, "Traceback" in err) == (1, False)
    assert f"segue: partition 5 names log elsewhere at offset {at}" in err
    assert ReplayStore(settings.snapshot_location).manifests(generation) == []


async def test_a_hole_in_the_log_is_refused_with_its_place(log: tuple[Settings, str]) -> None:
    settings, generation = log
    store = ReplayStore(settings.snapshot_location)
    async with LogReader(settings) as reader:
        plan = _plan(generation, await reader.end_offsets())

        class WithHole:
            first_name = reader.first_name

            async def read_tuples(self, partition: int, start: int, end: int) -> AsyncIterator[object]:
                async for records in reader.read_tuples(partition, start, end):
                    yield [record for record in records if record[0] != 7]

        with pytest.raises(HoleInLog, match="partition 2: offset 8 was delivered, 7 is next: the log is not"):
            await fold_partition(Job(settings, plan, 1e9), store, WithHole(), 2, lambda _: None)  # type: ignore[arg-type]


async def _until(there: object, process: subprocess.Popen[str]) -> None:
    end = time.monotonic() + 60
    while not there():  # type: ignore[operator]
        assert time.monotonic() < end
        assert process.poll() is None, process.communicate()
        await asyncio.sleep(0.001)


def test_an_empty_state_is_not_a_part() -> None:
    with pytest.raises(InvalidSnapshot, match="has no generation"):
        header_of("replay-x", PartitionState(0))
