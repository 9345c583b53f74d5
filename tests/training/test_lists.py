"""Lists for everybody on a real mongod and a real log, made here and by real Spark, and after a kill."""

import asyncio
import io
import json
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from connections.catalogue_reader import newest_charts, read_catalogue
from connections.documents import Database, open_documents
from connections.list_store import begin_build, build_key, lists_due, newest_build
from connections.model_store import load_model, served
from connections.snapshot_store import SnapshotStore
from recommender.catalogue import Charts
from recommender.encoding import EMPTY, History
from recommender.history import apply
from recommender.model import canonical_arrays, model_digest
from recommender.ranking import Catalogue, RankingConfig, Request, rank
from schemas import events
from schemas.documents import ARCHIVE, CHARTS, LIST_BLOCKS, LISTS, ListBuild, Pointer
from schemas.errors import InvalidInput, InvalidSnapshot
from schemas.recommendations import Recommendations, decode_recommendations
from schemas.settings import Settings
from schemas.snapshots import Manifest
from tests.builders import event
from tests.training.conftest import PARTITIONS, WriteSnapshot
from tests.training.listeners import Histories, tasteful, user
from tests.training.test_publication import ASKED
from tests.training.test_trainer import environment
from tests.worlds import TRACKS_MADE, begin_world
from training.list_blocks import SUPERSEDED, UNAVAILABLE, make_blocks, offsets, table_of
from training.lists import _Here, _work, blocks_of, build_lists
from training.lists_beside import ListsBeside
from training.publication import publish

PARAMETERS = {"rank": 6, "reg_param": 0.1, "alpha": 1.0, "max_iter": 3}
QUIET = Console(file=io.StringIO())
CHARTED = Charts("charts-1", np.array([3, 9, 27]), np.array([7, 5, 2]))


async def put_into_service(settings: Settings, database: Database, generation: str, seed: int) -> Pointer:
    """Publish a model of 50 of the 60 tracks, some placed by their sound."""
    random = np.random.default_rng(seed)
    rows = random.normal(scale=0.4, size=(50, 6))
    arrays = canonical_arrays(np.arange(1, 51), rows, np.arange(50) % 7 > 0, np.ones(50))
    document = PARAMETERS | {
        "_id": model_digest(arrays, PARAMETERS),
        "training_id": "t",
        "snapshot_id": "s-0001",
        "generation": generation,
        "metrics": {"snapshot": {"applied": 10}},
        "created_ms": seed,
    }
    return await publish(settings, database, document, arrays, ASKED)


@pytest.fixture
async def database(settings: Settings) -> AsyncIterator[Database]:
    async with open_documents(settings) as opened:
        yield opened


@pytest.fixture
async def generation(settings: Settings, database: Database) -> str:
    """Return the log's name; catalogue, charts and a served model are there."""
    found = await begin_world(settings, database)
    pairs = zip(CHARTED.track_ids.tolist(), CHARTED.counts.tolist(), strict=True)
    items = [{"track_id": track_id, "count": count} for track_id, count in pairs]
    await database[CHARTS.name].insert_one({"_id": "charts-1", "items": items, "created_ms": 1})
    await put_into_service(settings, database, found, 1)
    return found


@pytest.fixture
def found_by_children(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let children of this process find the world of the test."""
    for name, value in environment(settings).items():
        monkeypatch.setenv(name, value)


def many(count: int) -> Histories:
    """Return histories of so many users; among them one that knows no track of the model."""
    some = list(tasteful(30).values())
    histories = {user(number): some[number % 30] for number in range(count - 1)}
    return histories | {user(10**6): apply(EMPTY, event(events.TasteStart, genres=["Odd"], track_ids=[]))}


async def lists_in(database: Database) -> dict[str, Recommendations]:
    documents = await database[LISTS.name].find({}).to_list(None)
    found = {}
    for one in documents:
        value = decode_recommendations(bytes(one["value"]))
        assert (one["generation"], one["partition"], one["offset"]) == (
            value.generation,
            value.partition,
            value.offset,
        )
        found[one["_id"]] = value
    return found


async def by_rank(
    database: Database, histories: Histories, wanted: Sequence[str], cut: int = 1
) -> dict[str, Any]:
    """Return the pages that the one definition gives."""
    pointer = await served(database)
    assert pointer is not None
    model = await load_model(database, pointer["model_id"])
    requests = [
        Request(one, int(one, 16) % PARTITIONS, cut - 1, History.from_bytes(histories[one])) for one in wanted
    ]
    pages = rank(requests, model, await read_catalogue(database, "v1"), CHARTED, RankingConfig())
    return dict(zip(wanted, pages, strict=True))


async def assert_all_equal(database: Database, histories: Histories, sample: int = 10**9) -> None:
    """Check that each user has one list, and that it is the one of ``rank``."""
    found = await lists_in(database)
    assert found.keys() == histories.keys()
    pointer = await served(database)
    assert pointer is not None
    wanted = sorted(histories)[:: max(1, len(histories) // sample)]
    for one, page in (await by_rank(database, histories, wanted)).items():
        value = found[one]
        assert value.items == page.items  # ids, rounded scores, reasons, propensities
        assert value.rails == page.rails
        assert (value.model_id, value.charts_id, value.catalogue_version, value.ranking_version) == (
            pointer["model_id"],
            "charts-1",
            "v1",
            RankingConfig().version,
        )
        assert (value.cause, value.brief, value.offset) == (None, False, 0)


async def test_everybody_gets_the_list_that_a_worker_would_make(
    settings: Settings, database: Database, generation: str, write_snapshot: WriteSnapshot
) -> None:
    histories = many(60)
    hidden = apply(histories[user(0)], event(events.Hide, track_id=5))
    histories[user(0)] = apply(hidden, event(events.Hide, artist_id=7))
    write_snapshot(settings, generation, histories)
    assert await lists_due(database)

    result = await build_lists(settings, None, QUIET)

    assert (result["state"], result["written"], result["left_out"]) == ("done", 60, 0)
    await assert_all_equal(database, histories)
    artists = {
        one: [item.track_id % 12 + 1 for item in value.items]
        for one, value in (await lists_in(database)).items()
    }
    assert all(of.count(artist) <= 2 for of in artists.values() for artist in of)
    assert 7 not in artists[user(0)]
    assert 5 not in [item.track_id for item in (await lists_in(database))[user(0)].items]
    assert not await lists_due(database)
    again = await build_lists(settings, None, QUIET)
    assert (again["state"], again["blocks_found_done"]) == ("done", again["blocks"])


async def test_who_was_forgotten_has_no_list(
    settings: Settings, database: Database, generation: str, write_snapshot: WriteSnapshot
) -> None:
    histories = many(30)
    forget = event(events.Forget, scope="all")
    before, after = user(1), user(2)
    histories[before] = apply(histories[before], forget)  # below the cut
    partition = int(after, 16) % PARTITIONS  # after it: only the archive knows
    asked = {"user_id": after, "type": "forget", "partition": partition, "offset": 4}
    await database[ARCHIVE.name].insert_one({"_id": f"{generation}/{partition}/4", **asked})
    for one in (before, after):  # of a model before
        stale = {"generation": generation, "partition": int(one, 16) % PARTITIONS, "offset": -1, "seq": 0}
        await database[LISTS.name].insert_one({"_id": one, "value": b"", **stale})
    write_snapshot(settings, generation, histories)

    result = await build_lists(settings, None, QUIET)

    assert (result["written"], result["left_out"]) == (28, 2)
    assert (await lists_in(database)).keys() == histories.keys() - {before, after}


async def test_the_lists_of_a_newer_model_replace_those_of_an_older_one(
    settings: Settings, database: Database, generation: str, write_snapshot: WriteSnapshot
) -> None:
    histories = many(30)
    write_snapshot(settings, generation, histories)
    first = await build_lists(settings, None, QUIET)
    newer = await put_into_service(settings, database, generation, 2)
    assert await lists_due(database)
    second = await build_lists(settings, None, QUIET)
    assert (second["model_id"], second["blocks_found_done"]) == (newer["model_id"], 0)
    assert second["model_id"] != first["model_id"]
    await assert_all_equal(database, histories)
    assert await database[LIST_BLOCKS.name].distinct("build") == [
        f"{newer['model_id']}:{newer['seq']}:s-0001"
    ]


async def test_a_run_whose_model_is_no_longer_served_writes_nothing_more(
    settings: Settings, database: Database, generation: str, write_snapshot: WriteSnapshot
) -> None:
    manifest = write_snapshot(settings, generation, many(30))
    work = await work_of(settings, database, manifest)
    newer = await put_into_service(settings, database, generation, 2)
    store = SnapshotStore(settings.snapshot_location)
    blocks = iter(table_of(blocks_of(store, manifest)).to_batches())
    outcomes = await asyncio.to_thread(lambda: list(make_blocks(blocks, _Here(work))))
    assert [one["state"].to_pylist() for one in outcomes] == [[SUPERSEDED]]
    assert await database[LISTS.name].count_documents({}) == 0
    assert newer["seq"] > work.build["seq"]


async def test_a_run_beyond_its_budget_pauses_and_the_next_one_goes_on(
    settings: Settings, database: Database, generation: str, write_snapshot: WriteSnapshot
) -> None:
    histories = many(40)
    write_snapshot(settings, generation, histories)
    late = await build_lists(settings.model_copy(update={"lists_budget_s": 1e-9}), None, QUIET)
    assert (late["state"], late["written"]) == ("late", 0)
    assert "the next run goes on" in late["reason"]
    assert await lists_due(database)
    # a newer snapshot has come meanwhile: what was begun is ended first
    write_snapshot(settings, generation, many(20), "s-0002")
    done = await build_lists(settings, None, QUIET)
    assert (done["state"], done["snapshot_id"], done["written"]) == ("done", "s-0001", 40)


async def test_an_outage_of_mongodb_ends_a_block_and_leaves_no_mark(
    settings: Settings, database: Database, generation: str, write_snapshot: WriteSnapshot, unused_port: Any
) -> None:
    manifest = write_snapshot(settings, generation, many(30))
    work = await work_of(settings, database, manifest)
    away = replace(work, settings=settings.model_copy(update={"mongodb_port": unused_port()}))
    store = SnapshotStore(settings.snapshot_location)
    blocks = iter(table_of(blocks_of(store, manifest)).to_batches())
    [outcome] = await asyncio.to_thread(lambda: list(make_blocks(blocks, _Here(away))))
    assert outcome["state"].to_pylist() == [UNAVAILABLE]
    assert "MongoDB did not answer" in outcome["message"].to_pylist()[0]
    assert await database[LIST_BLOCKS.name].count_documents({}) == 0


async def test_without_a_model_or_a_catalogue_one_sentence_says_so(
    settings: Settings, database: Database, write_snapshot: WriteSnapshot
) -> None:
    generation = await begin_world(settings, database)
    write_snapshot(settings, generation, many(20))
    with pytest.raises(InvalidInput, match="no model is in service"):
        await build_lists(settings, None, QUIET)
    await put_into_service(settings, database, generation, 1)
    await database["tracks"].delete_many({})
    with pytest.raises(InvalidInput, match="the catalogue holds no track"):
        await build_lists(settings, None, QUIET)


async def test_the_trainer_has_them_made_beside_its_waiting_unless_told_not_to(
    settings: Settings,
    database: Database,
    generation: str,
    write_snapshot: WriteSnapshot,
    found_by_children: None,
) -> None:
    write_snapshot(settings, generation, many(30))
    off = ListsBeside(settings.model_copy(update={"lists_for_everybody": False}))
    await off.begin(database)
    assert await newest_build(database) is None
    beside = ListsBeside(settings)
    await beside.begin(database)
    try:
        until = time.monotonic() + 240
        while await lists_due(database):
            assert time.monotonic() < until, "the lists were not made in time"
            await asyncio.sleep(0.1)
    finally:
        await beside.stop()
    assert await database[LISTS.name].count_documents({}) == 30


async def test_a_run_that_makes_way_says_so_in_its_job(
    settings: Settings,
    database: Database,
    generation: str,
    write_snapshot: WriteSnapshot,
    found_by_children: None,
) -> None:
    write_snapshot(settings, generation, many(3_000))
    beside, jobs = ListsBeside(settings), database["jobs"]
    await beside.begin(database)
    while (job := await jobs.find_one({"kind": "lists"})) is None:
        await asyncio.sleep(0.05)
    assert job["state"] == "running"
    await beside.stop()
    ended = await jobs.find_one({"kind": "lists"})
    assert ended is not None
    assert (ended["state"], "made way" in ended["message"]) == ("failed", True)
    # one whose trainer was killed could say nothing
    await jobs.update_one({"_id": job["_id"]}, {"$set": {"state": "running", "kind": "lists"}})
    await jobs.update_one(
        {"_id": "lists-older"}, {"$set": {"state": "running", "kind": "lists"}}, upsert=True
    )
    with pytest.raises(InvalidSnapshot):
        await build_lists(settings, "missing", QUIET)
    assert await jobs.count_documents({"state": "running"}) == 0


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_a_run_that_is_killed_in_its_midst_is_gone_on_with(
    settings: Settings, database: Database, generation: str, write_snapshot: WriteSnapshot
) -> None:
    histories = many(3_000)
    write_snapshot(settings, generation, histories)
    command = (sys.executable, "-m", "training", "lists", "build", "--in-process", "--json")
    child = await asyncio.create_subprocess_exec(
        *command, env=environment(settings), start_new_session=True,
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    marks = database[LIST_BLOCKS.name]
    until = time.monotonic() + 240
    try:
        while await marks.count_documents({}) < 2:
            assert child.returncode is None, "it ended before it was killed"
            assert time.monotonic() < until, "no block was made in time"
            await asyncio.sleep(0.02)
    finally:
        os.killpg(child.pid, signal.SIGKILL)
        await child.wait()
    done_before = await marks.count_documents({})
    assert done_before < PARTITIONS
    build = await newest_build(database)
    assert build is not None
    assert build["state"] == "running"
    await database["leases"].delete_many({})  # instead of waiting for the end of the lease

    ran = await asyncio.create_subprocess_exec(
        *command, env=environment(settings), stdout=asyncio.subprocess.PIPE
    )
    out, _ = await ran.communicate()
    result = json.loads(out)
    assert (result["state"], result["written"], result["left_out"]) == ("done", 3_000, 0)
    assert result["blocks_found_done"] == done_before
    await assert_all_equal(database, histories, sample=300)


async def work_of(settings: Settings, database: Database, manifest: Manifest) -> Any:
    """Return the work of a build with the served model."""
    pointer = await served(database)
    assert pointer is not None
    build = ListBuild(
        _id=pointer["model_id"],
        seq=pointer["seq"],
        generation=manifest.generation,
        snapshot_id=manifest.snapshot_id,
        offsets=offsets(manifest),
        blocks=0,
        state="running",
        updated_ms=0,
    )
    assert await begin_build(database, build) == set()
    assert build_key(build).endswith(manifest.snapshot_id)
    model = await load_model(database, pointer["model_id"])
    catalogue: Catalogue = await read_catalogue(database, "v1")
    charts = await newest_charts(database, Charts.empty())
    assert len(catalogue.track_ids) == TRACKS_MADE
    return _work(settings, build, manifest, model, catalogue, charts, time.time() + 60)
