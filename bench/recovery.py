"""From the SIGKILL of a running stack's worker to the next list, as its listener sees it.

A play is posted right after each kill; the time ends when a list that answers it is served. ``ratio`` is the
worst over the goal of 5 s; ``equal`` says that the audit afterwards found nothing lost and nothing double.
"""

import argparse
import asyncio
import json
import os
import signal
import statistics
import subprocess
import sys
import time
import uuid
from importlib.metadata import version
from pathlib import Path
from typing import Any

import aiohttp

from schemas.errors import InvalidInput
from schemas.settings import Settings

GOAL_S = 5.0
_WITHIN_S = 60.0
_REST_S = 22.0  # a worker that ran for 20 s counts as steady and is started again at once


def run(arguments: list[str]) -> dict[str, Any]:
    """Kill the worker of the stack of ``SEGUE_DATA_DIR`` several times and measure."""
    parser = argparse.ArgumentParser(prog="python -m bench recovery", description=__doc__)
    parser.add_argument("--kills", type=int, default=5)
    options = parser.parse_args(arguments)
    seconds = asyncio.run(_measured(options.kills))
    segue = Path(sys.executable).with_name("segue")
    audit = subprocess.run([str(segue), "audit", "--json"], capture_output=True, text=True, check=False)
    counted = json.loads(audit.stdout)
    return {
        "ratio": round(max(seconds) / GOAL_S, 3),
        "low": round(min(seconds) / GOAL_S, 3),
        "high": round(max(seconds) / GOAL_S, 3),
        "equal": (counted["lost"], counted["double"]) == (0, 0),
        "seconds": [round(one, 2) for one in seconds],
        "median_s": round(statistics.median(seconds), 2),
        "lost": counted["lost"],
        "double": counted["double"],
        "applied": counted["applied"],
        "versions": {name: version(name) for name in ("segue", "faust-streaming", "aiokafka")},
    }


def _stack() -> dict[str, Any]:
    path = Settings().data_dir / "run" / "stack.json"
    try:
        state: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InvalidInput(f"no stack is running in {path.parent.parent}: start one by `make up`") from None
    return state


def _worker_pid() -> int:
    return next(int(one["pid"]) for one in _stack()["processes"] if one["name"] == "worker-0")


async def _measured(kills: int) -> list[float]:
    url = f"{_stack()['web']}/api/v1"
    async with aiohttp.ClientSession(raise_for_status=True) as http:
        who = {"username": f"bench-{uuid.uuid4().hex[:12]}", "password": "a password of the benchmark"}
        await http.post(f"{url}/accounts", json=who)
        async with http.post(f"{url}/tokens", json=who) as answer:
            headers = {"Authorization": f"Bearer {(await answer.json())['token']}"}
        async with http.get(f"{url}/tracks?limit=1", headers=headers) as answer:
            track = (await answer.json())["tracks"][0]
        seconds = []
        for seq in range(kills):
            os.kill(_worker_pid(), signal.SIGKILL)
            began = time.monotonic()
            await _play(http, url, headers, track, seq)
            seconds.append(await _answered(http, url, headers, seq) - began)
            await asyncio.sleep(_REST_S)
    return seconds


async def _play(
    http: aiohttp.ClientSession, url: str, headers: dict[str, str], track: dict[str, Any], seq: int
) -> None:
    event = {
        "type": "play",
        "session": "recovery",
        "seq": seq,
        "track_id": track["track_id"],
        "listened_ms": 20_000,
        "track_ms": track.get("track_ms") or 20_000,
        "end_reason": "finished",
        "client_time": time.time_ns() // 1_000_000,
    }
    await http.post(f"{url}/events", json={"events": [event]}, headers=headers)


async def _answered(http: aiohttp.ClientSession, url: str, headers: dict[str, str], seq: int) -> float:
    until = time.monotonic() + _WITHIN_S
    while time.monotonic() < until:
        async with http.get(f"{url}/recommendations", headers=headers) as answer:
            cause = (await answer.json())["cause"]
        if cause is not None and cause["seq"] >= seq:
            return time.monotonic()
        await asyncio.sleep(0.02)
    raise InvalidInput(f"no list came within {_WITHIN_S:g} s: see the worker's log")
