"""Charts: the tracks with the most listeners lately, overall and by genre, published under one id."""

import asyncio
import hashlib
import json
import time
from collections.abc import Callable
from typing import Any

import structlog

from agents.chart_changes import HOUR_MS
from agents.chart_counts import ChartCounts, Counted
from connections.documents import Database, answered
from recommender.catalogue import Catalogue, Chart
from recommender.charts import GenreNode, chart, genre_charts, genre_nodes
from schemas.documents import CHARTS, GENRES, TRACKS

WINDOW_HOURS = 30 * 24
LENGTH = 200
GENRE_LENGTH = 50
KEPT_MS = 24 * HOUR_MS
KEPT = 1_000
_BUDGET_S = 1.0  # of one turn: who counts also completes snapshots
_log = structlog.get_logger()


class ChartPublisher:
    """Counts what was archived since, and publishes charts when they changed.

    Parameters
    ----------
    catalogue : returns the catalogue as it is ranked with, None while nobody knows it; its genres decide
        where a track counts
    """

    def __init__(
        self, database: Database, generation: str, catalogue: Callable[[], Catalogue | None]
    ) -> None:
        self._database = database
        self._counts = ChartCounts(database, generation)
        self._catalogue = catalogue
        self._nodes: tuple[str, list[GenreNode]] = ("", [])
        self._published: tuple[Counted, str] | None = None

    async def publish(self, now_hour: int) -> bool:
        """Count and publish; return False while more is to be counted, or no catalogue is known.

        Parameters
        ----------
        now_hour : the running hour, in hours since 1970; the window is this one and the 720 before it

        Raises
        ------
        DocumentsUnavailable
            MongoDB did not answer.
        """
        counted = await self._counts.count(now_hour - WINDOW_HOURS, _BUDGET_S)
        catalogue = self._catalogue()
        if counted is None or catalogue is None:
            return False
        if self._published != (counted, catalogue.version):
            listeners = await self._counts.listeners()
            nodes = await self._genres(catalogue.version)
            content = await asyncio.to_thread(
                charts_content, counted.from_hour * HOUR_MS, listeners, catalogue, nodes
            )
            await _publish(self._database, content)
            self._published = (counted, catalogue.version)
        return True

    async def _genres(self, version: str) -> list[GenreNode]:
        if self._nodes[0] != version:
            titles = await answered(self._database[TRACKS.name].distinct("genres"), "reading the genres")
            rows = self._database[GENRES.name].find({}, {"path": 1}).sort("_id", 1)
            paths = [row["path"] for row in await answered(rows.to_list(None), "reading the genres")]
            self._nodes = (version, genre_nodes(titles, paths))
        return self._nodes[1]


def charts_content(
    from_ms: int, listeners: Chart, catalogue: Catalogue, nodes: list[GenreNode]
) -> dict[str, Any]:
    """Return the charts as they are published, without id and time: a pure function.

    Parameters
    ----------
    from_ms : where the window begins, milliseconds since 1970
    listeners : every track that was listened to in the window
    nodes : the genres of ``catalogue``
    """
    overall = chart(*listeners, LENGTH)
    pairs = zip(overall.track_ids.tolist(), overall.counts.tolist(), strict=True)
    return {
        "items": [{"track_id": track_id, "count": count} for track_id, count in pairs],
        "from_ms": from_ms,
        "genres": [
            {
                "genre": node.title,
                "parent": node.parent,
                "track_ids": of_genre.track_ids.tolist(),
                "counts": of_genre.counts.tolist(),
            }
            for node, of_genre in genre_charts(catalogue, nodes, listeners, GENRE_LENGTH)
        ],
    }


async def _publish(database: Database, content: dict[str, Any]) -> None:
    """Publish charts unless they are the newest ones already, or empty and the first."""
    charts = database[CHARTS.name]
    charts_id = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:32]
    newest = await answered(
        charts.find_one({}, {"_id": 1}, sort=[("created_ms", -1)]), "reading the newest charts"
    )
    if not content["items"] if newest is None else newest["_id"] == charts_id:
        return
    now_ms = time.time_ns() // 1_000_000
    document = content | {"created_ms": now_ms}
    await answered(charts.replace_one({"_id": charts_id}, document, upsert=True), "publishing the charts")
    _log.info("charts", charts_id=charts_id, tracks=len(content["items"]), genres=len(content["genres"]))
    last = await answered(
        charts.find({}, {"created_ms": 1}).sort("created_ms", -1).skip(KEPT).limit(1).to_list(1),
        "counting charts",
    )
    before_ms = max([now_ms - KEPT_MS] + [row["created_ms"] + 1 for row in last])
    old = {"created_ms": {"$lt": before_ms}, "_id": {"$ne": charts_id}}
    await answered(charts.delete_many(old), "removing old charts")
