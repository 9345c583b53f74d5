"""Play in the log -> list in the topic: one worker, 106,574 tracks at rank 64, plays over 100,000 users.

Loads on one real worker process: 100 plays/s, one every 10 ms, for the latency, beside it the bare round trip
of the same records (appended -> heard by a consumer of their topic); as many plays as asked for (``--rate``),
whatever becomes of them; and saturation: so many users at once (``--at-once``), each of whom plays again as
soon as the list is there. ``ratio`` is the 99th percentile of play appended to list received at 100/s over
that of the bare round trip in the same repeat (lower is better); ``list_ms`` begins where the play is
accepted. ``equal`` says whether the worker's states equal an independent fold, and every play was reflected
by a list.
"""

import argparse
import asyncio
import os
import random
import statistics
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from agents.audit import held_states
from agents.faust_app import GROUP
from bench._listener import Listener
from bench._played_log import commit_start, play, user, write_start
from bench._world import own_world
from connections.documents import open_documents
from connections.event_log import LogReader
from connections.log_topics import ensure_topics
from connections.log_writer import LogWriter
from connections.model_store import next_seq, save_model
from recommender.model import canonical_arrays, model_digest
from recommender.partition import PartitionState
from schemas import events
from schemas.documents import CATALOGUE, TRACKS
from schemas.errors import MissingRequirement
from schemas.settings import Settings
from schemas.topics import PLAYS

_PARAMETERS = {"rank": 64, "reg_param": 0.3, "alpha": 1.0, "max_iter": 10}
_BURST_S = 0.01


def run(arguments: list[str]) -> dict[str, Any]:
    """Measure with a broker, a mongod and a worker of its own."""
    parser = argparse.ArgumentParser(prog="python -m bench live-latency", description=__doc__)
    parser.add_argument("--tracks", type=int, default=106_574)
    parser.add_argument("--users", type=int, default=100_000)
    parser.add_argument("--rate", type=int, default=2_000, help="plays/s of the second load")
    parser.add_argument("--seconds", type=float, default=15.0, help="length of each load")
    parser.add_argument("--at-once", type=int, default=256, help="users of the load at saturation")
    parser.add_argument("--warm-up", type=float, default=20.0, help="seconds at the rate before it counts")
    parser.add_argument("--repeats", type=int, default=5, help="repeats of the load of 100/s")
    options = parser.parse_args(arguments)
    with own_world() as settings:
        return asyncio.run(_measured(settings, options))


async def _measured(settings: Settings, options: argparse.Namespace) -> dict[str, Any]:
    generation = await ensure_topics(settings)
    model_id = await _catalogue_and_model(settings, options.tracks, generation)
    states, ends = await write_start(settings, options.users, tracks=options.tracks, model_id=model_id)
    await commit_start(settings, GROUP, ends)
    load = _Load(options.users, options.tracks)
    async with _worker(settings), LogWriter(settings, timeout_s=60.0) as writer:
        async with Listener(settings) as heard:
            await _until_answered(load, writer, heard, settings.data_dir / "worker.log")
            quiet = [await load.run(writer, heard, 100, options.seconds) for _ in range(options.repeats)]
            reflected = heard.all_reflected
        async with Listener(settings, loaded=True) as heard:
            await load.run(writer, heard, options.rate, options.warm_up)
            full = await load.run(writer, heard, options.rate, options.seconds)
            saturated = await load.saturate(writer, heard, options.at_once, options.seconds)
            reflected = reflected and heard.all_reflected
        equal = reflected and await _equal(settings, states)
    ratios = [one["trip_ms"]["p99"] / one["bare_ms"]["p99"] for one in quiet]
    return {
        "ratio": round(statistics.median(ratios), 2),
        "low": round(min(ratios), 2),
        "high": round(max(ratios), 2),
        "equal": equal,
        "at_100": quiet,
        "at_rate": full,
        "saturated": saturated,
        "tracks": options.tracks,
        "users": options.users,
        "versions": {name: version(name) for name in ("segue", "faust-streaming", "aiokafka", "numpy")},
    }


class _Load:
    """Plays of random users, at a rate."""

    def __init__(self, users: int, tracks: int) -> None:
        self._draw = random.Random(5)
        self._users, self._tracks, self._seqs = users, tracks, Counter[str]()

    async def run(self, writer: LogWriter, heard: Listener, per_s: int, seconds: float) -> dict[str, Any]:
        """Append plays for some seconds, wait until the lists stop, and return what was measured."""
        heard.begin()
        began, sent, waiting = time.perf_counter(), 0, set()
        for tick in range(round(seconds / _BURST_S)):
            await asyncio.sleep(max(0.0, began + tick * _BURST_S - time.perf_counter()))
            due = round((tick + 1) * _BURST_S * per_s) - sent
            if due > 0:
                task = asyncio.create_task(self.append(writer, heard, due))
                waiting.add(task)
                task.add_done_callback(waiting.discard)
                sent += due
        await asyncio.gather(*waiting)
        accepted_s = time.perf_counter() - began
        await heard.quiet()
        found = heard.figures()
        return {
            "plays": sent,
            "accepted_per_s": round(sent / accepted_s),
            "answered_share": round(found.pop("answered") / sent, 4),
            **found,
        }

    async def saturate(
        self, writer: LogWriter, heard: Listener, at_once: int, seconds: float
    ) -> dict[str, Any]:
        """Let some users play, each again when the list is there; return what was measured."""
        heard.begin()
        began = time.perf_counter()
        users = random.Random(self._seqs.total()).sample(range(self._users), at_once)
        played = [self._playing(writer, heard, who, began + seconds) for who in map(user, users)]
        sent = sum(await asyncio.gather(*played))
        took_s = time.perf_counter() - began
        found = heard.figures()
        return {
            "users": at_once,
            "plays": sent,
            "answered_per_s": round(sent / took_s),
            "answered_share": round(found.pop("answered") / sent, 4),
            **found,
        }

    async def _playing(self, writer: LogWriter, heard: Listener, who: str, until: float) -> int:
        plays = 0
        while time.perf_counter() < until:
            appended = time.perf_counter()
            offsets = await writer.append(PLAYS, [(who.encode(), self._play(who))])
            heard.accepted([who], offsets, appended)
            await heard.list_of(who, offsets[0])
            plays += 1
        return plays

    async def append(self, writer: LogWriter, heard: Listener, count: int) -> None:
        """Append plays and tell the listener when they were accepted."""
        users = [user(self._draw.randrange(self._users)) for _ in range(count)]
        made = [(who.encode(), self._play(who)) for who in users]
        appended = time.perf_counter()
        offsets = await writer.append(PLAYS, made)
        heard.accepted(users, offsets, appended)

    def _play(self, who: str) -> bytes:
        """Return a play that is accepted now, the next of its user's session."""
        self._seqs[who] += 1
        now_ms = int(time.time() * 1000)
        return events.encode(play(self._draw.randint(1, self._tracks), "live", self._seqs[who], now_ms))


async def _catalogue_and_model(settings: Settings, tracks: int, generation: str) -> str:
    random_ = np.random.default_rng(4)
    rows = random_.normal(scale=64**-0.5, size=(tracks, 64)).astype(np.float32)
    ids = np.arange(1, tracks + 1)
    arrays = canonical_arrays(ids, rows, np.ones(tracks, bool), np.ones(tracks, np.float32))
    model_id = model_digest(arrays, _PARAMETERS)
    documents = [
        {"_id": number, "artist_id": number % (tracks // 7) + 1, "genres": [], "source": "bench"}
        for number in range(1, tracks + 1)
    ]
    async with open_documents(settings) as database:
        await database[TRACKS.name].insert_many(documents, ordered=False)
        await database[CATALOGUE.name].insert_one({"_id": "catalogue", "version": "b", "tracks": tracks})
        meta = {"_id": model_id, "training_id": "b", "snapshot_id": "b", "metrics": {}}
        seq = await next_seq(database)
        await save_model(
            database,
            {**meta, **_PARAMETERS, "generation": generation, "seq": seq, "created_ms": 0},
            arrays,
        )
    return model_id


@asynccontextmanager
async def _worker(settings: Settings) -> AsyncIterator[None]:
    given = settings.model_dump(mode="json", exclude_defaults=True)
    environment = os.environ | {f"SEGUE_{name.upper()}": str(value) for name, value in given.items()}
    with (settings.data_dir / "worker.log").open("wb") as log:
        command = [sys.executable, "-m", "agents", "worker"]
        process = await asyncio.create_subprocess_exec(*command, env=environment, stdout=log, stderr=log)
        try:
            yield
        finally:
            process.terminate()
            await process.wait()


async def _until_answered(load: _Load, writer: LogWriter, heard: Listener, log: Path) -> None:
    """Return when the worker answers with lists of the model; its first ones are not measured."""
    until = time.perf_counter() + 120
    while time.perf_counter() < until:
        heard.begin()
        await load.append(writer, heard, 50)
        await heard.quiet()
        if heard.figures()["reflected"] == 50 and heard.with_model:
            heard.all_reflected = True
            return
    said = log.read_text(encoding="utf-8", errors="replace")[-2_000:]
    raise MissingRequirement(f"the worker did not answer with lists of the model within 120 s:\n{said}")


async def _equal(settings: Settings, states: dict[int, PartitionState]) -> bool:
    """Say whether the worker holds what an independent fold makes."""
    async with LogReader(settings) as reader:
        for partition, end in (await reader.end_offsets()).items():
            async for records in reader.read(partition, states[partition].position, end):
                states[partition].fold(records)
    held = await held_states([settings.worker_metrics_port])
    return all(held[partition]["digest"] == state.digest() for partition, state in states.items())
