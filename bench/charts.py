"""Charts from hourly buckets, brought up to date, against a recount of all listens of the window.

Both sides run on a real mongod in alternating order. Before each turn new events are archived; then ``ours``
counts them into the buckets, reads the counted tracks and makes all charts, and ``recount`` groups the raw
events of the whole window by track and user, as Segue did before, and makes the same charts of them.
``ratio`` is recount over ours in seconds: above 1 the buckets are faster. ``unchanged`` is the same for turns
without a new event, in which the worker does not even read what is counted. ``first`` are the seconds of
counting the whole archive for the first time. ``equal`` says whether all charts were equal in every turn.
"""

import argparse
import asyncio
import statistics
import time
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

import numpy as np

from agents.chart_changes import HOUR_MS
from agents.chart_counts import ChartCounts
from agents.charts import WINDOW_HOURS, charts_content
from bench._world import own_world
from connections.documents import Database, answered, ensure_indexes, open_documents
from recommender.catalogue import Catalogue, Chart
from recommender.charts import GenreNode, genre_nodes
from recommender.history import genre_key
from schemas.documents import ARCHIVE, ARCHIVE_POSITIONS, CHART_HOURS

_GENERATION = "bench"
_NOW_HOUR = 500_000
_FROM_HOUR = _NOW_HOUR - WINDOW_HOURS
_GENRES = 160
_PARTITIONS = 12
_BLOCK = 10_000
_RECORD_BYTES = 180


def run(arguments: list[str]) -> dict[str, Any]:
    """Measure and return ratio, spread, equality, and seconds of both sides."""
    parser = argparse.ArgumentParser(prog="python -m bench charts", description=__doc__)
    parser.add_argument("--events", type=int, default=200_000, help="plays in the archive, over 30 days")
    parser.add_argument("--new", type=int, default=1_000, help="plays that come before each turn")
    parser.add_argument("--users", type=int, default=5_000)
    parser.add_argument("--tracks", type=int, default=20_000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args([each for each in arguments if each != "--json"])
    with own_world() as settings:
        return {"name": "charts", **asyncio.run(_measured(settings, options))}


class _Plays:
    """Archives plays: few tracks have most of them, users stay in their partition."""

    def __init__(self, database: Database, options: argparse.Namespace) -> None:
        self._database = database
        self._options = options
        self._random = np.random.default_rng(options.seed)
        self._ends = [1] * _PARTITIONS

    async def archive(self, count: int, hours: tuple[int, int]) -> None:
        """Archive plays of the hours ``[begin, end)``, then how far it is complete."""
        users = self._random.integers(0, self._options.users, count)
        tracks = 1 + (self._options.tracks * self._random.random(count) ** 3).astype(np.int64)
        times = self._random.integers(hours[0] * HOUR_MS, hours[1] * HOUR_MS, count)
        times.sort()
        for begin in range(0, count, _BLOCK):
            some = zip(
                *(column[begin : begin + _BLOCK].tolist() for column in (users, tracks, times)), strict=True
            )
            await self._database[ARCHIVE.name].insert_many([self._document(*one) for one in some])
        for partition, end in enumerate(self._ends):
            await self._database[ARCHIVE_POSITIONS.name].replace_one(
                {"_id": f"{_GENERATION}/{partition}"}, {"offset": end}, upsert=True
            )

    def _document(self, user: int, track: int, time_ms: int) -> dict[str, Any]:
        partition = user % _PARTITIONS
        offset = self._ends[partition]
        self._ends[partition] += 1
        return {
            "_id": f"{_GENERATION}/{partition}/{offset}",
            "user_id": f"{user:032x}",
            "partition": partition,
            "offset": offset,
            "type": "play",
            "track_id": track,
            "server_time_ms": time_ms,
            "listen": True,
            "event": b"x" * _RECORD_BYTES,
        }


async def _measured(settings: Any, options: argparse.Namespace) -> dict[str, Any]:
    catalogue, nodes = _catalogue(options.tracks)
    async with open_documents(settings) as database:
        await ensure_indexes(database)
        # the index that a recount of the window needs, and buckets do not
        await database[ARCHIVE.name].create_index([("server_time_ms", 1), ("listen", 1)])
        plays, counts = _Plays(database, options), ChartCounts(database, _GENERATION)
        await plays.archive(options.events, (_FROM_HOUR, _NOW_HOUR))
        began = time.perf_counter()
        await _ours(counts)
        first_s = time.perf_counter() - began
        spent: dict[str, list[tuple[float, float]]] = {"new": [], "unchanged": []}
        equal = True
        for turn in range(options.repeats):
            await plays.archive(options.new, (_NOW_HOUR, _NOW_HOUR + 1))
            for some in spent.values():
                took: dict[str, float] = {}
                made: dict[str, Any] = {}
                for side in ("ours", "recount") if turn % 2 else ("recount", "ours"):
                    began = time.perf_counter()
                    heard = await (_ours(counts) if side == "ours" else _recount(database))
                    made[side] = charts_content(_FROM_HOUR * HOUR_MS, heard, catalogue, nodes)
                    took[side] = time.perf_counter() - began
                equal = equal and made["ours"] == made["recount"]
                some.append((took["ours"], took["recount"]))
        buckets = await database[CHART_HOURS.name].estimated_document_count()
    return _summary(spent, equal, first_s) | {
        "events": options.events,
        "new": options.new,
        "buckets": buckets,
    }


def _summary(spent: dict[str, list[tuple[float, float]]], equal: bool, first_s: float) -> dict[str, Any]:
    ratios = {kind: sorted(recount / ours for ours, recount in some) for kind, some in spent.items()}
    return {
        "ratio": round(statistics.median(ratios["new"]), 2),
        "low": round(ratios["new"][0], 2),
        "high": round(ratios["new"][-1], 2),
        "equal": equal,
        "unchanged": round(statistics.median(ratios["unchanged"]), 2),
        "first": round(first_s, 2),
        "seconds": {
            kind: {
                "ours": round(statistics.median(ours for ours, _ in some), 4),
                "recount": round(statistics.median(recount for _, recount in some), 4),
            }
            for kind, some in spent.items()
        },
        "versions": {name: version(name) for name in ("motor", "pymongo", "numpy")},
    }


async def _ours(counts: ChartCounts) -> Chart:
    while await counts.count(_FROM_HOUR, 1.0) is None:
        pass
    return await counts.listeners()


async def _recount(database: Database) -> Chart:
    pipeline: Sequence[dict[str, Any]] = [
        {"$match": {"listen": True, "server_time_ms": {"$gte": _FROM_HOUR * HOUR_MS}}},
        {"$group": {"_id": {"track_id": "$track_id", "user_id": "$user_id"}}},
        {"$group": {"_id": "$_id.track_id", "listeners": {"$sum": 1}}},
    ]
    rows = await answered(database[ARCHIVE.name].aggregate(pipeline).to_list(None), "counting all listens")
    table = np.array([(row["_id"], row["listeners"]) for row in rows], np.int64).reshape(-1, 2)
    return Chart(table[:, 0], table[:, 1])


def _catalogue(tracks: int) -> tuple[Catalogue, list[GenreNode]]:
    """Return a catalogue of tracks with two genres each, and a tree of 160 genres, ten under each of 16."""
    paths = [
        [f"Root {number % 16}", f"Genre {number}"] if number >= 16 else [f"Root {number}"]
        for number in range(_GENRES)
    ]
    titles = [path[-1] for path in paths]
    ids = np.arange(1, tracks + 1)
    keys = np.array([genre_key(title) for title in titles], np.uint32)
    random = np.random.default_rng(7)
    rows = np.repeat(np.arange(tracks), 2)
    return Catalogue("bench", ids, ids, keys[random.integers(0, _GENRES, 2 * tracks)], rows), genre_nodes(
        titles, paths
    )
