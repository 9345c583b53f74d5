"""The catalogue's report at three sizes: seconds and peak memory of `segue etl report`, 148 features a track.

Made-up catalogues in a mongod of its own, the largest as large as FMA. ``ratio`` is the peak memory for the
largest over that for the smallest; ``equal`` says whether each report counted all tracks and features.
"""

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from connections.documents import Database, ensure_indexes, open_documents
from connections.feature_store import Standardisation
from schemas.errors import SegueError
from schemas.settings import Settings
from stack.child import Child
from stack.mongod import mongod_is_primary, prepare_mongod
from stack.parts import wait_until_ready
from stack.ports import free_ports

_SIZES = (5_000, 25_000, 106_574)
_FEATURES = 148
_BATCH = 2_000
_VERSION = "bench-v1"
# the process reads its own peak: what a parent is told begins with the size of the parent
_PROGRAM = """
import sys
from etl.cli import main
sys.argv = ["etl", "report", "--json"]
try:
    main()
finally:
    with open("/proc/self/status") as file:
        print(next(line.split()[1] for line in file if line.startswith("VmHWM")))
"""


def run(arguments: list[str]) -> dict[str, Any]:
    """Fill each catalogue once, then report on it ``--repeats`` times, the sizes by turns."""
    parser = argparse.ArgumentParser(prog="python -m bench report", description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--tracks", type=int, nargs="+", default=list(_SIZES))
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="segue-bench-") as folder:
        settings = Settings(data_dir=Path(folder), mongodb_port=free_ports(1)[0])
        mongod = Child(prepare_mongod(settings))
        try:
            asyncio.run(wait_until_ready(mongod, lambda: mongod_is_primary(settings)))
            for tracks in options.tracks:
                print(f"report: making {tracks:,} tracks", file=sys.stderr, flush=True)
                asyncio.run(_fill(settings, tracks))
            return _measured(settings, options.tracks, options.repeats)
        finally:
            mongod.stop()


def _measured(settings: Settings, sizes: Sequence[int], repeats: int) -> dict[str, Any]:
    seconds: dict[int, list[float]] = {tracks: [] for tracks in sizes}
    peaks: dict[int, list[float]] = {tracks: [] for tracks in sizes}
    equal = True
    for turn in range(repeats + 1):  # the first one builds matplotlib's list of fonts
        for tracks in sizes if turn % 2 else reversed(sizes):
            told, peak_mib = _report(settings, tracks)
            equal = equal and (told["tracks"], told["features"]) == (tracks, tracks)
            if turn:
                seconds[tracks].append(told["seconds"])
                peaks[tracks].append(peak_mib)
                print(f"report: {tracks:,} tracks: {told['seconds']} s", file=sys.stderr, flush=True)
    ratios = [large / small for large, small in zip(peaks[max(sizes)], peaks[min(sizes)], strict=True)]
    return {
        "ratio": round(statistics.median(ratios), 3),
        "low": round(min(ratios), 3),
        "high": round(max(ratios), 3),
        "equal": equal,
        "seconds": {tracks: _spread(found) for tracks, found in seconds.items()},
        "peak_mib": {tracks: _spread(found) for tracks, found in peaks.items()},
        "versions": {name: version(name) for name in ("matplotlib", "jinja2", "numpy", "motor")},
    }


def _spread(found: Sequence[float]) -> list[float]:
    """Return median, low and high."""
    return [round(each, 2) for each in (statistics.median(found), min(found), max(found))]


def _report(settings: Settings, tracks: int) -> tuple[dict[str, Any], float]:
    """Run the command as a process of its own; return what it printed and its peak memory in MiB."""
    environment = os.environ | {
        "SEGUE_DATA_DIR": str(settings.data_dir),
        "SEGUE_MONGODB_PORT": str(settings.mongodb_port),
        "SEGUE_MONGODB_DATABASE": f"bench-{tracks}",
    }
    ran = subprocess.run(
        [sys.executable, "-c", _PROGRAM], env=environment, stdout=subprocess.PIPE, text=True, check=False
    )
    if ran.returncode:
        raise SegueError(f"`segue etl report` ended with code {ran.returncode}")
    told, peak_kib = ran.stdout.splitlines()
    return json.loads(told), int(peak_kib) / 1024


async def _fill(settings: Settings, tracks: int) -> None:
    draw = np.random.default_rng(1)
    name = f"bench-{tracks}"
    async with open_documents(settings.model_copy(update={"mongodb_database": name})) as database:
        await ensure_indexes(database)
        mean, scale = draw.normal(size=_FEATURES), draw.uniform(0.5, 2.0, _FEATURES)
        scaler = Standardisation.named(_VERSION, 1, tracks, mean, scale)
        for start in range(0, tracks, _BATCH):
            await _insert(database, draw, scaler, range(start + 1, min(start + _BATCH, tracks) + 1))
        numbers = {"mean": mean.tolist(), "scale": scale.tolist()}
        about = {"version": _VERSION, "revision": 1, "count": tracks, "created_ms": 1}
        await database["scalers"].insert_one({"_id": scaler.scaler_id, **about, **numbers})
        state = {"_id": "catalogue", "version": name, "tracks": tracks, "source": "fma", "updated_ms": 1}
        await database["catalogue"].insert_one(state)


async def _insert(database: Database, draw: np.random.Generator, scaler: Standardisation, ids: range) -> None:
    scaled = draw.normal(size=(len(ids), 8)) @ draw.normal(size=(8, _FEATURES))
    raw = scaled * scaler.scale + scaler.mean
    names = [f"part{n // 20}_{n % 20:02d}_mean" for n in range(_FEATURES)]
    genre, length = draw.geometric(0.2, len(ids)), draw.lognormal(12.3, 0.6, len(ids))
    audio = {"path": "clip.mp3", "mime": "audio/mpeg", "bytes": 1}
    about = {"version": scaler.version, "names": names, "scaler_id": scaler.scaler_id}
    tracks = [
        {"_id": i, "title": f"Track {i}", "artist": f"Artist {i % 16_341}", "artist_id": i % 16_341 + 1,
         "album": None, "genres": [f"Genre {genre[n]}", f"Genre {100 + i % 160}"], "track_ms": int(length[n]),
         "licence": f"Licence {i % 114}", "licence_url": None, "source": "fma", "source_key": str(i),
         "source_url": None, "audio": audio, "peaks": [128] * 200}
        for n, i in enumerate(ids)
    ]  # fmt: skip
    features = [
        {"_id": i, **about, "raw": raw[n].tolist(), "scaled": scaled[n].tolist()} for n, i in enumerate(ids)
    ]
    await database["tracks"].insert_many(tracks, ordered=False)
    await database["features"].insert_many(features, ordered=False)
