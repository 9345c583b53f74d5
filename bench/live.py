"""Play accepted to list received over server-sent events, against a running stack, at 1 and at 100 events/s.

Listeners hold a live stream each; plays are posted at an even pace, each by one of them. All clocks are this
machine's. ``ratio`` is the p99 at the highest rate over the goal of 50 ms: below 1 meets it.
"""

import argparse
import asyncio
import json
import os
import platform
import random
import signal
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any

import aiohttp
import numpy as np

from schemas.errors import InvalidInput, Unavailable
from schemas.settings import Settings

GOAL_MS = 50.0
_PASSWORD = "a password of the benchmark"
_SETTLE_S = 10.0
_HOPS = (("accepted", "folded"), ("folded", "ranked"), ("ranked", "sent"), ("sent", "received"))


@dataclass
class _Listener:
    """One user: a token, a live stream, and what was sent and received (times in ms since 1970)."""

    headers: dict[str, str]
    session: str
    posted: dict[int, float] = field(default_factory=dict)
    answered: dict[int, float] = field(default_factory=dict)
    received: list[tuple[int, float, dict[str, float]]] = field(default_factory=list)
    open: asyncio.Event = field(default_factory=asyncio.Event)
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    def newest(self) -> int:
        """Return the greatest seq that a received list answers."""
        return max((seq for seq, _, _ in self.received), default=0)


def run(arguments: list[str]) -> dict[str, Any]:
    """Measure and return p50 and p99 by hop for each rate, and whether every play was answered by a list."""
    parser = argparse.ArgumentParser(prog="python -m bench live", description=__doc__)
    parser.add_argument("--url", help="address of the player; by default that of the stack of SEGUE_DATA_DIR")
    parser.add_argument("--listeners", type=int, default=20, help="users with a stream each")
    parser.add_argument("--rates", default="1,100", help="events per second, one measurement each")
    parser.add_argument("--seconds", type=float, default=20.0, help="length of each measurement")
    parser.add_argument("--seed", type=int, default=1, help="seed of tracks and listeners")
    parser.add_argument(
        "--no-training", action="store_true", help="pause the stack's trainer while measuring (SIGSTOP)"
    )
    options = parser.parse_args(arguments)
    rates = [float(rate) for rate in options.rates.split(",")]
    with _trainer_paused(options.no_training):
        return asyncio.run(_measured(options.url or str(_stack()["web"]), options, rates))


def _stack() -> dict[str, Any]:
    path = Settings().data_dir / "run" / "stack.json"
    try:
        state: dict[str, Any] = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise InvalidInput(f"no running stack in {path.parent.parent}: start one or give --url") from error
    return state


@contextmanager
def _trainer_paused(wanted: bool) -> Iterator[None]:
    """Let no training begin while the block runs: what Spark takes is measured apart."""
    pids = [one["pid"] for one in _stack()["processes"] if one["name"] == "trainer"] if wanted else []
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


async def _measured(url: str, options: argparse.Namespace, rates: list[float]) -> dict[str, Any]:
    draw = random.Random(options.seed)
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(url.rstrip("/") + "/api/v1/", connector=connector) as http:
        listeners = [await _enter(http) for _ in range(options.listeners)]
        async with http.get("tracks?limit=500", headers=listeners[0].headers) as response:
            tracks = (await response.json())["tracks"]
        if not tracks:
            raise InvalidInput("the catalogue is empty")
        streams = [asyncio.create_task(_listen(http, listener)) for listener in listeners]
        try:
            async with asyncio.timeout(_SETTLE_S):
                await asyncio.gather(*(listener.open.wait() for listener in listeners))
            results = {
                f"{rate:g}/s": await _one_rate(http, listeners, tracks, draw, rate, options.seconds)
                for rate in rates
            }
        finally:
            for stream in streams:
                stream.cancel()
            await asyncio.gather(*streams, return_exceptions=True)
    fastest = results[f"{rates[-1]:g}/s"]
    low, high = fastest.pop("interval")
    for result in results.values():
        result.pop("interval", None)
    return {
        "name": "live",
        "ratio": round(fastest["accepted_to_received"]["p99_ms"] / GOAL_MS, 3),
        "low": round(low / GOAL_MS, 3),
        "high": round(high / GOAL_MS, 3),
        "equal": all(result["answered"] == result["plays"] for result in results.values()),
        "listeners": options.listeners,
        "tracks_used": len(tracks),
        "rates": results,
        "versions": {
            "python": platform.python_version(),
            "quart": version("quart"),
            "hypercorn": version("hypercorn"),
        },
    }


async def _enter(http: aiohttp.ClientSession) -> _Listener:
    credentials = {"username": f"bench-{uuid.uuid4().hex[:12]}", "password": _PASSWORD}
    for path in ("accounts", "tokens"):
        async with http.post(path, json=credentials) as response:
            if response.status != 201:
                raise Unavailable(f"POST {path} answered {response.status}: {await response.text()}")
            token = (await response.json()).get("token")
    return _Listener({"Authorization": f"Bearer {token}"}, f"bench-{uuid.uuid4().hex[:8]}")


async def _listen(http: aiohttp.ClientSession, listener: _Listener) -> None:
    wait = aiohttp.ClientTimeout(total=None, sock_read=60)
    async with http.get("feed", headers=listener.headers, timeout=wait, read_bufsize=2**20) as response:
        async for line in response.content:
            now_ms = time.time() * 1000
            if not line.startswith(b"data: "):
                continue
            listener.open.set()
            shown = json.loads(line[6:])
            cause = shown["cause"]
            if cause is not None and cause["session"] == listener.session and shown["latency_ms"] is not None:
                times = {name.removesuffix("_ms"): value for name, value in shown["timings"].items()}
                listener.received.append((cause["seq"], now_ms, times | {"received": now_ms}))


async def _one_rate(
    http: aiohttp.ClientSession,
    listeners: list[_Listener],
    tracks: list[dict[str, Any]],
    draw: random.Random,
    rate: float,
    seconds: float,
) -> dict[str, Any]:
    for listener in listeners:
        listener.received.clear()
        listener.posted = {}
        listener.answered = {}
        listener.session = f"bench-{uuid.uuid4().hex[:8]}"
    count = max(1, round(rate * seconds))
    began, posts = time.monotonic(), []
    for number in range(count):
        await asyncio.sleep(max(0.0, began + number / rate - time.monotonic()))
        listener, track = listeners[number % len(listeners)], draw.choice(tracks)
        posts.append(asyncio.create_task(_post(http, listener, 1 + number // len(listeners), track)))
    await asyncio.gather(*posts)
    until = time.monotonic() + _SETTLE_S
    while time.monotonic() < until and any(
        one.posted and one.newest() < max(one.posted) for one in listeners
    ):
        await asyncio.sleep(0.05)
    return _summary(listeners, count, time.monotonic() - began)


async def _post(http: aiohttp.ClientSession, listener: _Listener, seq: int, track: dict[str, Any]) -> None:
    length = track["track_ms"] or 30_000
    event = {
        "type": "play", "session": listener.session, "seq": seq, "track_id": track["track_id"],
        "listened_ms": length, "track_ms": length, "end_reason": "finished",
    }  # fmt: skip
    async with listener.turn:  # as a browser does: a user's events reach the log in their order
        listener.posted[seq] = time.time() * 1000
        async with http.post("events", json={"events": [event]}, headers=listener.headers) as response:
            if response.status != 202:
                raise Unavailable(f"POST events answered {response.status}: {await response.text()}")
            listener.answered[seq] = time.time() * 1000


def _summary(listeners: list[_Listener], count: int, seconds: float) -> dict[str, Any]:
    lists = [entry for listener in listeners for entry in listener.received]
    # A play whose own list was replaced by a newer one is answered by that one.
    waits, answered = [], 0
    for listener in listeners:
        for seq, posted_ms in listener.posted.items():
            later = [at_ms for got, at_ms, _ in listener.received if got >= seq]
            answered += bool(later)
            waits += [min(later) - posted_ms] if later else []
    whole = np.array([times["received"] - times["accepted"] for _, _, times in lists] or [np.nan])
    again = np.random.default_rng(1)
    p99s = [np.percentile(again.choice(whole, len(whole)), 99) for _ in range(500)]
    return {
        "plays": count,
        "answered": answered,
        "lists": len(lists),
        "events_per_s": round(count / seconds, 1),
        "accepted_to_received": _percentiles(whole),
        "posted_to_received": _percentiles(np.array(waits or [np.nan])),
        "posted_to_202": _percentiles(
            np.array([one.answered[seq] - at_ms for one in listeners for seq, at_ms in one.posted.items()])
        ),
        "hops": {
            f"{first}_to_{second}": _percentiles(
                np.array([t[second] - t[first] for _, _, t in lists] or [np.nan])
            )
            for first, second in _HOPS
        },
        "interval": (float(np.percentile(p99s, 2.5)), float(np.percentile(p99s, 97.5))),
    }


def _percentiles(milliseconds: Any) -> dict[str, float]:
    p50, p99 = np.percentile(milliseconds, [50, 99])
    return {"p50_ms": round(float(p50), 2), "p99_ms": round(float(p99), 2)}
