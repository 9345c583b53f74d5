"""A real worker under a live load: plays at a rate, or as fast as lists come back."""

import asyncio
import os
import random
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np

from agents.audit import held_states
from agents.faust_app import GROUP
from bench._listener import Listener
from bench._played_log import commit_start, play, user, write_start
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
from tests.faults.hostile import malformed

_PARAMETERS = {"rank": 64, "reg_param": 0.3, "alpha": 1.0, "max_iter": 10}
_BURST_S = 0.01


class Load:
    """Plays of random users, at a rate.

    Attributes
    ----------
    malformed_share : share of records at saturation that are no events
    malformed : records sent that are no events
    """

    def __init__(self, users: int, tracks: int) -> None:
        self._draw = random.Random(5)
        self._users, self._tracks, self._seqs = users, tracks, Counter[str]()
        self.malformed_share, self.malformed = 0.0, 0

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
            records = [(who.encode(), self._play(who)), *self._malformed_beside(who)]
            appended = time.perf_counter()
            offsets = await writer.append(PLAYS, records)
            heard.accepted([who], offsets[:1], appended)
            await heard.list_of(who, offsets[0])
            plays += 1
        return plays

    def _malformed_beside(self, who: str) -> Iterator[tuple[bytes | None, bytes | None]]:
        if self.malformed_share and self._draw.random() < self.malformed_share / (1 - self.malformed_share):
            self.malformed += 1
            yield malformed(self._draw, who)

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


async def begin(settings: Settings, tracks: int, users: int) -> tuple[Load, dict[int, PartitionState]]:
    """Make a log, a catalogue, a model and users who have played; return a load of them, and their states."""
    generation = await ensure_topics(settings)
    model_id = await _catalogue_and_model(settings, tracks, generation)
    states, ends = await write_start(settings, users, tracks=tracks, model_id=model_id)
    await commit_start(settings, GROUP, ends)
    return Load(users, tracks), states


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
async def running_worker(settings: Settings) -> AsyncIterator[asyncio.subprocess.Process]:
    """Yield a real worker process; what it says is in ``worker.log`` of the data folder."""
    given = settings.model_dump(mode="json", exclude_defaults=True)
    environment = os.environ | {f"SEGUE_{name.upper()}": str(value) for name, value in given.items()}
    with (settings.data_dir / "worker.log").open("wb") as log:
        command = [sys.executable, "-m", "agents", "worker"]
        process = await asyncio.create_subprocess_exec(*command, env=environment, stdout=log, stderr=log)
        try:
            yield process
        finally:
            process.terminate()
            await process.wait()


async def until_answered(load: Load, writer: LogWriter, heard: Listener, log: Path) -> None:
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


async def equals_fold(settings: Settings, states: dict[int, PartitionState]) -> bool:
    """Say whether the worker holds what an independent fold makes."""
    async with LogReader(settings) as reader:
        for partition, end in (await reader.end_offsets()).items():
            async for records in reader.read(partition, states[partition].position, end):
                states[partition].fold(records)
    held = await held_states([settings.worker_metrics_port])
    return all(held[partition]["digest"] == state.digest() for partition, state in states.items())
