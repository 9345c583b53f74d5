"""Seconds from `segue up` to a ready web server: a new folder, the same again, after SIGKILL of all.

`ratio` is the start after SIGKILL against the ordinary second start, with the smallest and greatest of the
runs; `equal` says that every start found the same log.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

from stack.ports import free_ports

_WITHIN_S = 180.0
_PORTS = ("WEB", "WEB_METRICS", "WORKER_METRICS", "KAFKA", "KAFKA_CONTROLLER", "MONGODB")
_SEGUE = Path(sys.executable).with_name("segue")


def run(arguments: list[str]) -> dict[str, Any]:
    """Measure the starts; ``arguments`` may hold the number of repetitions (default 3)."""
    repeat = int(arguments[0]) if arguments else 3
    with tempfile.TemporaryDirectory(prefix="segue-start-") as name:
        folder = Path(name)
        environment = {**os.environ, **_ports(), "SEGUE_DATA_DIR": str(folder)}
        first, logs = _start(environment, folder, signal.SIGTERM), [_generation(folder)]
        warm, killed = [], []
        for _ in range(repeat):
            warm.append(_start(environment, folder, signal.SIGKILL))
            killed.append(_start(environment, folder, signal.SIGTERM))
            logs.append(_generation(folder))
    pairs = [after["seconds"] / before["seconds"] for before, after in zip(warm, killed, strict=True)]
    return {
        "name": "start-up",
        "ratio": round(sorted(pairs)[len(pairs) // 2], 3),
        "low": round(min(pairs), 3),
        "high": round(max(pairs), 3),
        "equal": len(set(logs)) == 1,
        "first_s": first["seconds"],
        "second_s": [one["seconds"] for one in warm],
        "after_kill_s": [one["seconds"] for one in killed],
        "stop_s": [first["stop_s"], *(one["stop_s"] for one in killed)],
        "memory_mib": killed[-1]["memory_mib"],
        "versions": {name: version(name) for name in ("segue", "faust-streaming", "pyspark", "pymongo")},
    }


def _ports() -> dict[str, str]:
    ports = zip(_PORTS, free_ports(len(_PORTS)), strict=True)
    return {f"SEGUE_{name}_PORT": str(port) for name, port in ports}


def _start(environment: dict[str, str], folder: Path, end: signal.Signals) -> dict[str, Any]:
    began = time.monotonic()
    command = [str(_SEGUE), "up", "--catalogue", "none"]
    with (folder / "up.log").open("ab") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    try:
        state = _ready(process, folder, began)
        seconds = time.monotonic() - began
        memory = _memory(environment)
        stopping = time.monotonic()
        if end is signal.SIGKILL:
            for pid in (process.pid, *(each["pid"] for each in state["processes"])):
                os.kill(pid, end)
        else:
            process.terminate()
        process.wait(30)
        return {
            "seconds": round(seconds, 2),
            "stop_s": round(time.monotonic() - stopping, 2),
            "memory_mib": memory,
        }
    finally:
        process.kill()
        process.wait()


def _ready(process: subprocess.Popen[bytes], folder: Path, began: float) -> dict[str, Any]:
    while time.monotonic() - began < _WITHIN_S and process.poll() is None:
        try:
            state: dict[str, Any] = json.loads((folder / "run" / "stack.json").read_text(encoding="utf-8"))
            states = {each["name"]: each["state"] for each in state["processes"]}
            if state["pid"] == process.pid and states.get("web") == "ready":
                return state
        except (OSError, ValueError):
            pass
        time.sleep(0.05)
    raise SystemExit(f"the stack did not start: {(folder / 'up.log').read_text(encoding='utf-8')[-2000:]}")


def _memory(environment: dict[str, str]) -> dict[str, int]:
    command = [str(_SEGUE), "status", "--json"]
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return {each["name"]: each["memory_bytes"] // 2**20 for each in json.loads(ran.stdout)["processes"]}


def _generation(folder: Path) -> str:
    # the broker's own name of topic plays: another one would be another log
    files = sorted(folder.glob("kafka/log/plays-*/partition.metadata"))
    return " ".join(path.read_text(encoding="utf-8").split()[-1] for path in files)
