"""HetRec: events per second through the intake into a real log, against bare appends of the same records.

Uses the broker of ``SEGUE_KAFKA_PORT`` (or ``SEGUE_KAFKA_BOOTSTRAP_SERVERS``) with topics of its own, which
it removes at the end.
"""

import argparse
import asyncio
import os
import time
import uuid
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import stamina
from aiokafka.admin import AIOKafkaAdminClient

from connections.event_log import LogReader, topic_name
from connections.log_topics import ensure_topics
from connections.log_writer import LogWriter
from etl.hetrec import SOURCE, append_listens, imported_events
from etl.hetrec_files import read_artists, read_listening
from etl.ids import imported_user_id
from etl.progress import meter
from schemas import events
from schemas.errors import LogMismatch, LogUnavailable
from schemas.settings import Settings
from schemas.topics import PLAYS, TOPICS

_BARE_BATCH = 2_000

Plays = Mapping[str, Sequence[tuple[str, int]]]


def run(arguments: list[str]) -> dict[str, Any]:
    """Return the rate of the import and its ratio to bare appends of records made before the clock starts.

    ``equal`` says that the log holds exactly one record per row of the data set after each side.
    """
    parser = argparse.ArgumentParser(prog="python -m bench hetrec-import", description=__doc__)
    default = Path(os.environ.get("SEGUE_TEST_DATA", "../shared/data")) / "hetrec2011-lastfm-2k"
    parser.add_argument("directory", nargs="?", type=Path, default=default, help="folder of the data set")
    parser.add_argument("--rounds", type=int, default=3, help="repetitions of each side")
    options = parser.parse_args([each for each in arguments if each != "--json"])
    listening = read_listening(options.directory, read_artists(options.directory)).by_user
    return asyncio.run(_measure(listening, options.rounds))


async def _measure(listening: Plays, rounds: int) -> dict[str, Any]:
    total = sum(len(plays) for plays in listening.values())
    imports, ratios, complete = [], [], True
    worlds: list[Settings] = []
    try:
        for _ in range(rounds):
            bare, bare_complete = await _side(_bare, listening, total, worlds)
            imported, import_complete = await _side(_import, listening, total, worlds)
            imports.append(total / imported)
            ratios.append(bare / imported)
            complete = complete and bare_complete and import_complete
    finally:
        # at the end: a broker that deletes topics is slow to serve new ones
        for settings in worlds:
            await _remove_topics(settings)
    ratios.sort()
    return {
        "name": "hetrec-import",
        "ratio": round(ratios[len(ratios) // 2], 3),
        "low": round(ratios[0], 3),
        "high": round(ratios[-1], 3),
        "equal": complete,
        "events": total,
        "events_per_s": round(sorted(imports)[len(imports) // 2]),
        "versions": {name: version(name) for name in ("aiokafka", "msgspec")},
    }


async def _side(side: Any, listening: Plays, total: int, worlds: list[Settings]) -> tuple[float, bool]:
    """Run one side on fresh topics; return its seconds and whether every event stands in the log."""
    settings = Settings().model_copy(update={"topic_prefix": f"bench-{uuid.uuid4().hex[:8]}-"})
    worlds.append(settings)
    async for attempt in stamina.retry_context(on=(LogMismatch, LogUnavailable), attempts=6):
        with attempt:  # a busy broker may announce new topics a moment after it made them
            await ensure_topics(settings)
    async with LogWriter(settings, timeout_s=120.0) as writer:
        seconds = await side(writer, listening, total)
    async with LogReader(settings) as reader:
        ends = await reader.end_offsets()
    return seconds, sum(ends.values()) - len(ends) == total


async def _import(writer: LogWriter, listening: Plays, total: int) -> float:
    started = time.perf_counter()
    with meter("import", total) as progress:
        await append_listens(writer, listening, progress)
    return time.perf_counter() - started


async def _bare(writer: LogWriter, listening: Plays, total: int) -> float:
    records = [
        (imported_user_id(SOURCE, user).encode(), events.encode(event))
        for user, plays in listening.items()
        for batch in imported_events(user, plays)
        for event in batch
    ]
    started = time.perf_counter()
    for start in range(0, len(records), _BARE_BATCH):
        await writer.append(PLAYS, records[start : start + _BARE_BATCH])
    return time.perf_counter() - started


async def _remove_topics(settings: Settings) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka_address)
    await admin.start()
    try:
        await admin.delete_topics([topic_name(settings, topic) for topic in TOPICS])
    finally:
        await admin.close()
