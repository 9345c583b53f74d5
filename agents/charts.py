"""Charts: the tracks with the most listeners lately, from the archive."""

import hashlib
import json
import time
from typing import Any

from connections.documents import Database, answered
from schemas.documents import ARCHIVE, CHARTS

WINDOW_MS = 30 * 24 * 3_600_000
LENGTH = 200
KEPT_MS = 24 * 3_600_000


async def publish_charts(database: Database) -> str | None:
    """Count listeners of each track over the last 30 days; publish when the charts changed.

    Returns
    -------
    The charts id (hash of the items), None while nothing was listened to.

    Raises
    ------
    DocumentsUnavailable
        MongoDB did not answer.
    """
    now_ms = time.time_ns() // 1_000_000
    listened = {"listen": True, "server_time_ms": {"$gte": now_ms - WINDOW_MS}}
    pipeline: list[dict[str, Any]] = [
        {"$match": listened},
        {"$group": {"_id": {"track_id": "$track_id", "user_id": "$user_id"}}},
        {"$group": {"_id": "$_id.track_id", "count": {"$sum": 1}}},
        {"$sort": {"count": -1, "_id": 1}},
        {"$limit": LENGTH},
    ]
    rows = await answered(database[ARCHIVE.name].aggregate(pipeline).to_list(None), "counting the charts")
    if not rows:
        return None
    items = [{"track_id": row["_id"], "count": row["count"]} for row in rows]
    charts_id = hashlib.sha256(json.dumps(items).encode()).hexdigest()[:32]
    newest = await answered(database[CHARTS.name].find_one(sort=[("created_ms", -1)]), "reading the charts")
    if newest is None or newest["_id"] != charts_id:
        document = {"items": items, "created_ms": now_ms}
        await answered(
            database[CHARTS.name].replace_one({"_id": charts_id}, document, upsert=True),
            "publishing the charts",
        )
        old = {"created_ms": {"$lt": now_ms - KEPT_MS}, "_id": {"$ne": charts_id}}
        await answered(database[CHARTS.name].delete_many(old), "removing old charts")
    return charts_id
