"""Applied events as the worker archives them, and what the charts should count, said another way."""

import random
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from agents.chart_changes import HOUR_MS
from connections.documents import Database
from schemas.documents import ARCHIVE, ARCHIVE_POSITIONS, CHART_HOURS, CHART_TRACKS
from tests.builders import user_id

GENERATION = "g1"
NOW_HOUR = 500_000


@dataclass
class ArchivedLog:
    """Writes events of a log into the archive in order, and remembers all that was ever applied."""

    database: Database
    generation: str = GENERATION
    ends: dict[int, int] = field(default_factory=lambda: defaultdict(lambda: 1))
    applied: list[dict[str, Any]] = field(default_factory=list)

    async def write(self, *some: tuple[int, int | None, int], recorded: bool = True) -> None:
        """Archive (user number, track or None to forget all, hour); then record how far it is complete."""
        for user, track, hour in some:
            partition = user % 3
            offset = self.ends[partition]
            self.ends[partition] = offset + 1
            document = {
                "_id": f"{self.generation}/{partition}/{offset}",
                "user_id": user_id(user),
                "partition": partition,
                "offset": offset,
                "type": "play" if track is not None else "forget",
                "track_id": track,
                "server_time_ms": hour * HOUR_MS + offset,
                "listen": track is not None,
            }
            self.applied.append(document)
            await self.database[ARCHIVE.name].insert_one(dict(document))
            if track is None:
                before = {"user_id": document["user_id"], "partition": partition, "offset": {"$lt": offset}}
                await self.database[ARCHIVE.name].delete_many(before)
        if recorded:
            await self.record()

    async def record(self) -> None:
        """Record how far the archive is complete."""
        for partition, offset in self.ends.items():
            await self.database[ARCHIVE_POSITIONS.name].update_one(
                {"_id": f"{self.generation}/{partition}"}, {"$max": {"offset": offset}}, upsert=True
            )

    def listeners(self, offsets: dict[int, int], from_hour: int) -> dict[int, int]:
        """Return the different listeners of each track below ``offsets`` and from an hour on."""
        heard: set[tuple[str, int]] = set()
        for event in self.applied:
            if event["offset"] >= offsets.get(event["partition"], 0):
                continue
            if event["type"] == "forget":
                heard = {pair for pair in heard if pair[0] != event["user_id"]}
            elif event["server_time_ms"] >= from_hour * HOUR_MS:
                heard.add((event["user_id"], event["track_id"]))
        counts: dict[int, int] = defaultdict(int)
        for _, track in heard:
            counts[track] += 1
        return dict(counts)


def some_events(draw: random.Random, count: int, now_hour: int) -> list[tuple[int, int | None, int]]:
    """Return events of 20 users and 12 tracks, of any hour of 50 days, and few that forget all."""
    return [
        (
            draw.randint(1, 20),
            None if draw.random() < 0.04 else draw.randint(1, 12),
            now_hour - draw.choice([0, 0, 1, draw.randint(0, 1_200)]),
        )
        for _ in range(count)
    ]


async def counted_tracks(database: Database, generation: str = GENERATION) -> dict[int, int]:
    """Return the listeners of each track as they are counted."""
    rows = database[CHART_TRACKS.name].find({"generation": generation, "listeners": {"$ne": 0}})
    return {row["track_id"]: row["listeners"] async for row in rows}


async def summed_hours(database: Database, from_hour: int, generation: str = GENERATION) -> dict[int, int]:
    """Return the sum of the hourly buckets of each track from an hour on."""
    sums: dict[int, int] = defaultdict(int)
    wanted = {"generation": generation, "hour": {"$gte": from_hour}}
    async for row in database[CHART_HOURS.name].find(wanted):
        sums[row["track_id"]] += row["listeners"]
    return {track: listeners for track, listeners in sums.items() if listeners}
