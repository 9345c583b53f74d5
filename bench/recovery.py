"""From the SIGKILL of a running stack's worker to the next list, as its listener sees it.

A play is posted right after each kill; the time ends when a list that answers it is served. ``ratio`` is the
95th percentile over the goal of 5 s, ``low`` and ``high`` the best and the worst kill over it; ``equal`` says
that the audit afterwards found nothing lost and nothing double. ``parts_s`` says what part each step takes,
``since_kill_s`` when each step of the new worker's start was done.
"""

import argparse
import asyncio
import json
import math
import os
import re
import signal
import statistics
import subprocess
import sys
import time
import uuid
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import aiohttp

from schemas.errors import InvalidInput
from schemas.settings import Settings

GOAL_S = 5.0
_CHAIN = ("told", "loaded", "log found", "connected", "assigned", "list", "served")
"""Steps of which each waits for the one before; restore, model and catalogue lie side by side before one."""
_WITHIN_S = 60.0
_REST_S = 22.0  # a worker that ran for 20 s counts as steady and is started again at once


def run(arguments: list[str]) -> dict[str, Any]:
    """Kill the worker of the stack of ``SEGUE_DATA_DIR`` several times and measure."""
    parser = argparse.ArgumentParser(prog="python -m bench recovery", description=__doc__)
    parser.add_argument("--kills", type=int, default=10)
    options = parser.parse_args(arguments)
    kills = asyncio.run(_measured(options.kills))
    seconds = [kill["served"] for kill in kills]
    segue = Path(sys.executable).with_name("segue")
    audit = subprocess.run([str(segue), "audit", "--json"], capture_output=True, text=True, check=False)
    counted = json.loads(audit.stdout)
    return {
        "ratio": round(percentile(seconds, 0.95) / GOAL_S, 3),
        "low": round(min(seconds) / GOAL_S, 3),
        "high": round(max(seconds) / GOAL_S, 3),
        "equal": (counted["lost"], counted["double"]) == (0, 0),
        "seconds": [round(one, 2) for one in seconds],
        "kills": len(seconds),
        "p50_p95_max_s": _spread(seconds),
        "parts_s": {
            step: _spread([kill[step] - kill.get(before, 0.0) for kill in kills])
            for before, step in zip(("kill", *_CHAIN), _CHAIN, strict=False)
        },
        "since_kill_s": {
            step: _spread([kill[step] for kill in kills if step in kill])
            for step in sorted(kills[0], key=kills[0].__getitem__)
        },
        "lost": counted["lost"],
        "double": counted["double"],
        "applied": counted["applied"],
        "versions": {name: version(name) for name in ("segue", "faust-streaming", "aiokafka")},
    }


def percentile(values: Sequence[float], share: float) -> float:
    """Return the smallest value that at least ``share`` of the values do not exceed."""
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


def _spread(values: Sequence[float]) -> list[float]:
    """Return p50, p95 and max."""
    return [round(one, 3) for one in (statistics.median(values), percentile(values, 0.95), max(values))]


def _stack() -> dict[str, Any]:
    path = Settings().data_dir / "run" / "stack.json"
    try:
        state: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InvalidInput(f"no stack is running in {path.parent.parent}: start one by `make up`") from None
    return state


def _worker_pid() -> int:
    return next(int(one["pid"]) for one in _stack()["processes"] if one["name"] == "worker-0")


async def _measured(kills: int) -> list[dict[str, float]]:
    url = f"{_stack()['web']}/api/v1"
    async with aiohttp.ClientSession(raise_for_status=True) as http:
        who = {"username": f"bench-{uuid.uuid4().hex[:12]}", "password": "a password of the benchmark"}
        await http.post(f"{url}/accounts", json=who)
        async with http.post(f"{url}/tokens", json=who) as answer:
            headers = {"Authorization": f"Bearer {(await answer.json())['token']}"}
        async with http.get(f"{url}/tracks?limit=1", headers=headers) as answer:
            track = (await answer.json())["tracks"][0]
        measured = []
        for seq in range(kills):
            os.kill(_worker_pid(), signal.SIGKILL)
            began = time.time()
            await _play(http, url, headers, track, seq)
            served = await _answered(http, url, headers, seq)
            await asyncio.sleep(_REST_S)
            steps = await _steps(http)
            measured.append({step: at - began for step, at in (steps | {"served": served}).items()})
            print(f"recovery: kill {seq + 1} of {kills}: {served - began:.2f} s", file=sys.stderr, flush=True)
    return measured


async def _steps(http: aiohttp.ClientSession) -> dict[str, float]:
    """Return when the steps of the running worker's start were done, seconds since 1970."""
    given = _stack()["environment"].get("SEGUE_WORKER_METRICS_PORT")
    port = Settings().worker_metrics_port if given is None else int(given)
    async with http.get(f"http://127.0.0.1:{port}/metrics") as answer:
        found = re.findall(r'^segue_start_time_seconds{step="([^"]+)"} (\S+)$', await answer.text(), re.M)
    return {step: float(at) for step, at in found}


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
            return time.time()
        await asyncio.sleep(0.01)
    raise InvalidInput(f"no list came within {_WITHIN_S:g} s: see the worker's log")
