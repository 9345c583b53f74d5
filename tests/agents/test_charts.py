"""Hourly buckets and charts on a real mongod: equal to a recount of all events, whatever happens."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from typing import Any

import numpy as np
import pytest

from agents import charts as charts_module
from agents.chart_changes import HOUR_MS
from agents.chart_counts import ChartCounts, Counted
from agents.charts import WINDOW_HOURS, ChartPublisher
from connections.documents import Database, Session, ensure_indexes, in_transaction, open_documents
from recommender.catalogue import Catalogue
from recommender.history import genre_key
from schemas.documents import (
    ARCHIVE,
    CHART_HOURS,
    CHART_LISTENERS,
    CHART_POSITIONS,
    CHART_TRACKS,
    CHARTS,
    GENRES,
    TRACKS,
)
from schemas.errors import DocumentsUnavailable
from schemas.settings import Settings
from tests.agents.archived import (
    GENERATION,
    NOW_HOUR,
    ArchivedLog,
    counted_tracks,
    some_events,
    summed_hours,
)

FROM_HOUR = NOW_HOUR - WINDOW_HOURS
LONG_S = 60.0


@pytest.fixture
async def database(settings: Settings) -> AsyncIterator[Database]:
    async with open_documents(settings) as opened:
        await ensure_indexes(opened)
        yield opened
        await opened.client.drop_database(settings.mongodb_database)


@pytest.fixture
def log(database: Database) -> ArchivedLog:
    return ArchivedLog(database)


@pytest.fixture
def counts(database: Database) -> ChartCounts:
    return ChartCounts(database, GENERATION)


async def count(counts: ChartCounts, from_hour: int = FROM_HOUR) -> Counted:
    counted = await counts.count(from_hour, LONG_S)
    assert counted is not None
    return counted


async def state(database: Database) -> dict[str, Any]:
    """Return all that is counted, byte by byte."""
    found = {}
    for collection in (CHART_POSITIONS, CHART_LISTENERS, CHART_HOURS, CHART_TRACKS):
        rows = await database[collection.name].find({}).sort("_id", 1).to_list(None)
        found[collection.name] = [row for row in rows if row.get("listeners") != 0]
    return found


async def test_a_listener_counts_once_in_the_window_in_the_hour_of_the_newest_listen(
    log: ArchivedLog, counts: ChartCounts, database: Database
) -> None:
    await log.write((1, 7, NOW_HOUR - 5), (2, 7, NOW_HOUR - 5), (1, 7, NOW_HOUR), (1, 7, NOW_HOUR - 9))
    await log.write((3, 8, FROM_HOUR), (3, 9, FROM_HOUR - 1))

    counted = await count(counts)

    assert counted == Counted({0: 3, 1: 4, 2: 2}, FROM_HOUR)
    assert await counted_tracks(database) == {7: 2, 8: 1}
    buckets = await database[CHART_HOURS.name].find({"listeners": {"$ne": 0}}).to_list(None)
    assert {(row["hour"], row["track_id"]): row["listeners"] for row in buckets} == {
        (NOW_HOUR - 5, 7): 1, (NOW_HOUR, 7): 1, (FROM_HOUR, 8): 1,
    }  # fmt: skip


async def test_nothing_beyond_the_recorded_offset_is_counted_and_all_of_it_later(
    log: ArchivedLog, counts: ChartCounts, database: Database
) -> None:
    await log.write((1, 7, NOW_HOUR))
    await log.write((2, 7, NOW_HOUR), (1, 8, NOW_HOUR - 3), recorded=False)
    assert (await count(counts)).offsets == {1: 2}
    assert await counted_tracks(database) == {7: 1}

    await log.record()
    await count(counts)

    assert await counted_tracks(database) == {7: 2, 8: 1}


async def test_events_of_another_log_and_what_is_no_listen_do_not_count(
    log: ArchivedLog, counts: ChartCounts, database: Database
) -> None:
    await ArchivedLog(database, "g0").write(*[(user, 5, NOW_HOUR) for user in range(1, 9)])
    await log.write((1, 7, NOW_HOUR), (2, 7, NOW_HOUR))
    await database[ARCHIVE.name].update_one({"_id": f"{GENERATION}/2/1"}, {"$set": {"listen": False}})

    await count(counts)

    assert await counted_tracks(database) == {7: 1}


@pytest.mark.parametrize("seed", range(3))
async def test_whatever_dies_or_runs_twice_the_buckets_equal_a_recount(
    log: ArchivedLog, database: Database, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """Two workers count at once, are cancelled, or end before they commit; and the window moves on."""
    draw = random.Random(seed)

    async def dies_at_times(database: Database, work: Callable[[Session], Any], doing: str) -> Any:
        async def to_its_end(session: Session) -> Any:
            result = await work(session)
            if draw.random() < 0.2:
                raise DocumentsUnavailable("ended before the commit")
            return result

        return await in_transaction(database, to_its_end, doing)

    monkeypatch.setattr("agents.chart_counts._EVENTS_AT_ONCE", 7)
    monkeypatch.setattr("agents.chart_counts.in_transaction", dies_at_times)
    workers = [ChartCounts(database, GENERATION) for _ in range(2)]
    now_hour = NOW_HOUR
    for _ in range(12):
        now_hour += draw.choice([0, 1, 30])
        await log.write(*some_events(draw, 25, NOW_HOUR), recorded=draw.random() < 0.8)
        tries = [
            asyncio.wait_for(one.count(now_hour - WINDOW_HOURS, LONG_S), draw.uniform(0.001, 0.08))
            for one in workers
        ]
        for outcome in await asyncio.gather(*tries, return_exceptions=True):
            if isinstance(outcome, BaseException):
                assert isinstance(outcome, TimeoutError | DocumentsUnavailable), repr(outcome)
    await log.record()
    monkeypatch.undo()

    counted = await count(workers[0], now_hour - WINDOW_HOURS)

    expected = log.listeners(dict(log.ends), counted.from_hour)
    assert counted == Counted(dict(log.ends), now_hour - WINDOW_HOURS)
    assert await counted_tracks(database) == expected
    assert await summed_hours(database, counted.from_hour) == expected
    pairs = await database[CHART_LISTENERS.name].count_documents({"hour": {"$gte": counted.from_hour}})
    assert pairs == sum(expected.values())
    before = await state(database)
    await count(workers[1], now_hour - WINDOW_HOURS)
    assert await state(database) == before


async def test_what_leaves_the_window_is_counted_no_more_and_removed(
    log: ArchivedLog, counts: ChartCounts, database: Database
) -> None:
    await log.write((1, 7, NOW_HOUR - 100), (2, 7, NOW_HOUR - 40), (2, 8, NOW_HOUR - 100))
    await count(counts)

    await count(counts, NOW_HOUR - 99)

    assert await counted_tracks(database) == {7: 1}
    assert await database[CHART_HOURS.name].count_documents({}) == 1
    assert await database[CHART_LISTENERS.name].count_documents({}) == 1
    assert await database[CHART_TRACKS.name].count_documents({}) == 1
    assert (
        await count(counts, FROM_HOUR)
    ).from_hour == NOW_HOUR - 99  # a clock that goes back changes nothing


async def test_forgetting_all_takes_a_user_out_of_the_buckets_of_every_log(
    log: ArchivedLog, counts: ChartCounts, database: Database
) -> None:
    older = ArchivedLog(database, "g0")
    await older.write((1, 5, NOW_HOUR))
    await count(ChartCounts(database, "g0"))
    await log.write((1, 7, NOW_HOUR), (2, 7, NOW_HOUR - 2), (1, 8, NOW_HOUR - 3))
    await count(counts)

    await log.write((1, None, NOW_HOUR), (1, 9, NOW_HOUR))
    await count(counts)

    assert await counted_tracks(database) == {7: 1, 9: 1}
    assert await summed_hours(database, FROM_HOUR) == {7: 1, 9: 1}
    ids = [pair["_id"] async for pair in database[CHART_LISTENERS.name].find({})]
    assert sorted(ids) == [f"{1:032x}/g1/9", f"{2:032x}/g1/7"]


async def test_one_turn_counts_no_longer_than_its_budget(
    log: ArchivedLog, counts: ChartCounts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agents.chart_counts._EVENTS_AT_ONCE", 2)
    await log.write(*[(user, 7, NOW_HOUR) for user in range(1, 6)])

    assert await counts.count(FROM_HOUR, 0.0) is None
    assert await counts.count(FROM_HOUR, LONG_S) == Counted(dict(log.ends), FROM_HOUR)


async def test_new_events_are_found_by_an_index(log: ArchivedLog, database: Database) -> None:
    await log.write(*[(user, 7, NOW_HOUR) for user in range(1, 40)])
    wanted = {
        "partition": 1, "offset": {"$gte": 9, "$lt": 12}, "_id": {"$regex": f"^{GENERATION}/"},
        "$or": [{"listen": True}, {"type": "forget"}],
    }  # fmt: skip

    plan = await database[ARCHIVE.name].find(wanted).sort("offset", 1).limit(50).explain()

    assert plan["executionStats"]["totalDocsExamined"] == 3
    assert "SORT" not in str(plan["queryPlanner"]["winningPlan"])


class TestPublished:
    """Charts as others read them."""

    @pytest.fixture
    async def publisher(self, database: Database) -> ChartPublisher:
        """Return who publishes; the tree is Rock over Punk over Hardcore, and Jazz; Folk stands in none."""
        paths = [["Rock"], ["Rock", "Punk"], ["Rock", "Punk", "Hardcore"], ["Jazz"]]
        await database[GENRES.name].insert_many([{"_id": at, "path": path} for at, path in enumerate(paths)])
        genres = {1: ["Rock"], 2: ["Punk"], 3: ["Hardcore", "Folk"], 4: ["Jazz"], 5: ["folk"]}
        await database[TRACKS.name].insert_many(
            [{"_id": track_id, "genres": names} for track_id, names in genres.items()]
        )
        entries = [(genre_key(name), track - 1) for track, names in genres.items() for name in names]
        keys, rows = (np.array(column) for column in zip(*entries, strict=True))
        ids = np.arange(1, 6)
        catalogue = Catalogue("v1", ids, ids, keys.astype(np.uint32), rows.astype(np.int64))
        return ChartPublisher(database, GENERATION, lambda: catalogue)

    async def newest(self, database: Database) -> dict[str, Any] | None:
        return await database[CHARTS.name].find_one(sort=[("created_ms", -1)])

    async def test_a_track_counts_for_its_genres_and_all_above_them(
        self, log: ArchivedLog, publisher: ChartPublisher, database: Database
    ) -> None:
        heard = {1: 1, 2: 3, 3: 2, 5: 2, 99: 4}
        await log.write(*[(user, track, NOW_HOUR) for track, n in heard.items() for user in range(1, n + 1)])

        assert await publisher.publish(NOW_HOUR)

        found = await self.newest(database)
        assert found is not None
        assert [(item["track_id"], item["count"]) for item in found["items"]] == [
            (99, 4), (2, 3), (3, 2), (5, 2), (1, 1),
        ]  # fmt: skip
        assert found["from_ms"] == FROM_HOUR * HOUR_MS
        assert {(one["genre"], one["parent"]): one["track_ids"] for one in found["genres"]} == {
            ("Folk", None): [3, 5],
            ("Hardcore", "Punk"): [3],
            ("Punk", "Rock"): [2, 3],
            ("Rock", None): [2, 3, 1],
        }
        assert [one["counts"] for one in found["genres"] if one["genre"] == "Rock"] == [[3, 2, 1]]

    async def test_equal_charts_have_one_id_and_every_change_another(
        self, log: ArchivedLog, publisher: ChartPublisher, database: Database
    ) -> None:
        await log.write((1, 1, NOW_HOUR))
        await publisher.publish(NOW_HOUR)
        first = await self.newest(database)
        await log.write((1, 1, NOW_HOUR))  # known already
        await publisher.publish(NOW_HOUR)
        same = await self.newest(database)
        await log.write((2, 5, NOW_HOUR))
        await publisher.publish(NOW_HOUR)
        other = await self.newest(database)

        assert first is not None
        assert same == first
        assert other is not None
        assert other["_id"] != first["_id"]
        assert await database[CHARTS.name].count_documents({}) == 2

    async def test_charts_of_nobody_are_published_when_the_last_listener_is_forgotten(
        self, log: ArchivedLog, publisher: ChartPublisher, database: Database
    ) -> None:
        await publisher.publish(NOW_HOUR)
        assert await self.newest(database) is None
        await log.write((1, 1, NOW_HOUR))
        await publisher.publish(NOW_HOUR)
        await log.write((1, None, NOW_HOUR))
        await publisher.publish(NOW_HOUR)

        found = await self.newest(database)
        assert found is not None
        assert (found["items"], found["genres"]) == ([], [])

    async def test_nothing_is_published_before_the_genres_of_tracks_are_known(
        self, log: ArchivedLog, publisher: ChartPublisher, database: Database
    ) -> None:
        """A worker that begins counts at once, and reads the catalogue meanwhile."""
        await log.write((1, 1, NOW_HOUR))

        early = ChartPublisher(database, GENERATION, lambda: None)

        assert await early.publish(NOW_HOUR) is False
        assert await self.newest(database) is None
        assert await publisher.publish(NOW_HOUR) is True
        assert await self.newest(database) is not None

    async def test_nothing_is_published_before_all_is_counted(
        self,
        log: ArchivedLog,
        publisher: ChartPublisher,
        database: Database,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr("agents.chart_counts._EVENTS_AT_ONCE", 1)
        monkeypatch.setattr(charts_module, "_BUDGET_S", 0.0)
        await log.write((1, 1, NOW_HOUR), (2, 1, NOW_HOUR))

        turns = [await publisher.publish(NOW_HOUR) for _ in range(2)]

        assert turns == [False, True]
        found = await self.newest(database)
        assert found is not None
        assert [one["count"] for one in found["items"]] == [2]
