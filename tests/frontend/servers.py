"""A real web server, a small catalogue that sounds, users, and lists as a worker writes them."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import soundfile
from pymongo import MongoClient

from connections.event_log import LogReader
from connections.log_topics import ensure_topics
from connections.log_writer import LogWriter
from schemas.documents import CATALOGUE, TRACKS
from schemas.recommendations import Cause, Item, Reason, Recommendations, Timings, encode
from schemas.settings import Settings
from schemas.topics import RECOMMENDATIONS
from stack.ports import free_ports

ROOT = Path(__file__).resolve().parents[2]
PASSWORD = "correct horse"
TITLES = ("Dawn", "Tide", "Åska", "Paper Kites", "North Window", "Slow Engine")
SECONDS = 3
START_WITHIN_S = 30


@dataclass
class Server:
    """One `python -m frontend`."""

    settings: Settings
    url: str
    process: subprocess.Popen[bytes]
    log: Path

    def status(self, path: str) -> int:
        try:
            with urllib.request.urlopen(self.url + path, timeout=6) as response:
                return int(response.status)
        except urllib.error.HTTPError as error:
            return error.code
        except OSError:
            return 0

    def wait_for(self, path: str, status: int, within_s: float = START_WITHIN_S) -> None:
        until = time.monotonic() + within_s
        while self.status(path) != status:
            if self.process.poll() is not None or time.monotonic() > until:
                raise AssertionError(f"no {status} at {path}:\n{self.log.read_text()[-3000:]}")
            time.sleep(0.05)


@contextmanager
def serving(settings: Settings, **variables: str) -> Iterator[Server]:
    port, metrics_port = free_ports(2)
    given = settings.model_dump(mode="json", exclude_unset=True) | {
        "web_port": port,
        "web_metrics_port": metrics_port,
    }
    environment = {f"SEGUE_{name.upper()}": str(value) for name, value in given.items()}
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    log = settings.data_dir / "web.log"
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "frontend"],
            env=os.environ | environment | variables,
            cwd=ROOT,
            stdout=output,
            stderr=output,
        )
    try:
        yield Server(settings, f"http://127.0.0.1:{port}", process, log)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


async def make_world(settings: Settings) -> None:
    """Create the topics and a catalogue of short tones; the last track has no sound, one title is hostile."""
    await ensure_topics(settings)
    folder = settings.data_dir / "audio"
    folder.mkdir(parents=True)
    documents = []
    for number, title in enumerate((*TITLES, "<img src=x onerror=alert(1)>"), start=1):
        path = f"audio/{number}.ogg"
        seconds = np.arange(SECONDS * 22_050) / 22_050
        tone = 0.2 * np.sin(2 * np.pi * 220 * number * seconds)
        soundfile.write(settings.data_dir / path, tone.astype("float32"), 22_050)
        size = (settings.data_dir / path).stat().st_size
        documents.append(
            {
                "_id": number,
                "title": title,
                "artist": f"Artist {number % 3}",
                "artist_id": 100 + number % 3,
                "album": None,
                "genres": ["Tone"],
                "track_ms": SECONDS * 1000,
                "licence": "CC0 1.0",
                "licence_url": "https://creativecommons.org/publicdomain/zero/1.0/",
                "source": "test",
                "source_key": str(number),
                "source_url": None,
                "audio": {"path": path, "mime": "audio/ogg", "bytes": size}
                if number <= len(TITLES)
                else None,
                "peaks": [int(200 * abs(np.sin(at / 9))) for at in range(200)],
            }
        )
    outside = {"path": "../outside.ogg", "mime": "audio/ogg", "bytes": 1}
    documents.append(documents[0] | {"_id": 90, "title": "Outside", "audio": outside})
    client: MongoClient[dict[str, Any]] = MongoClient(settings.mongodb_address)
    with client:
        database = client[settings.mongodb_database]
        database[TRACKS.name].insert_many(documents)
        database[CATALOGUE.name].insert_one({"_id": "catalogue", "version": "v1", "tracks": len(documents)})


class Listener:
    """A user with a bearer token."""

    def __init__(self, http: aiohttp.ClientSession, server: Server, name: str) -> None:
        self.http = http
        self.server = server
        self.name = name
        self.headers: dict[str, str] = {}

    async def call(self, method: str, path: str, **options: Any) -> tuple[int, Any]:
        headers = self.headers | options.pop("headers", {})
        async with self.http.request(
            method, f"{self.server.url}/api/v1/{path}", headers=headers, **options
        ) as response:
            text = await response.text()
            return response.status, json.loads(text) if "json" in response.content_type else text

    async def user_id(self) -> str:
        client: MongoClient[dict[str, Any]] = MongoClient(self.server.settings.mongodb_address)
        with client:
            found = client[self.server.settings.mongodb_database]["accounts"].find_one(
                {"username": self.name}
            )
        assert found is not None
        return str(found["_id"])

    async def messages(self, **headers: str) -> AsyncIterator[dict[str, Any]]:
        """Yield the lists of the stream, with the message's id."""
        async with self.http.get(
            f"{self.server.url}/api/v1/feed",
            headers=self.headers | headers,
            timeout=aiohttp.ClientTimeout(sock_read=20),
        ) as response:
            assert response.status == 200
            message: dict[str, str] = {}
            async for line in response.content:
                name, _, value = line.decode().rstrip("\n").partition(": ")
                if name:
                    message[name] = value
                elif "data" in message:
                    yield json.loads(message["data"]) | {"id": message.get("id")}
                    message = {}


_generations: dict[str, str] = {}


async def publish(
    settings: Settings, user_id: str, lists: Mapping[int, Sequence[int]] | Sequence[int], **more: Any
) -> None:
    """Write lists to the topic as the worker does: track ids by offset, or offsets of lists of track 1."""
    if settings.topic_prefix not in _generations:
        async with LogReader(settings) as reader:
            _generations[settings.topic_prefix] = await reader.generation()
    by_offset = lists if isinstance(lists, Mapping) else None
    async with LogWriter(settings) as writer:
        for offset in lists:
            value = _list(offset, by_offset[offset] if by_offset else [1], settings, more)
            await writer.append(RECOMMENDATIONS, [(user_id.encode(), encode(value))])


def _list(offset: int, track_ids: Sequence[int], settings: Settings, more: dict[str, Any]) -> Recommendations:
    now = time.time() * 1000
    reasons = [Reason(kind="interaction", track_id=1, share=0.5)]
    fields: dict[str, Any] = {
        "generation": _generations[settings.topic_prefix],
        "partition": 3,
        "offset": offset,
        "model_id": "m" * 64,
        "charts_id": None,
        "catalogue_version": "v1",
        "ranking_version": "r1",
        "cause": Cause(type="like", session="s", seq=offset, track_id=1),
        "items": [
            Item(track_id=track_id, score=round(1 / place, 6), reasons=reasons)
            for place, track_id in enumerate(track_ids, start=1)
        ],
        "timings": Timings(accepted_ms=now - 12, folded_ms=now - 5, ranked_ms=now - 1),
    }
    return Recommendations(**fields | more)
