"""FMA's metadata from file to documents in a local mongod: rows/s, against pandas and an upsert per document.

Both sides read the same real rows (the 17,734 of the sample data, repeated under other ids) and write to
fresh databases of one mongod, alternating; the indexes exist before. The plain side gets a part of the rows,
for its rate hardly depends on their number. ``equal`` says that no document of the plain side is missing on
ours or says something else there, that no row was lost, and that a second load of ours changed nothing.
``ratio`` is our rows/s over the plain side's. The whole of `etl run` is timed: reading, checking, writing,
publishing.
"""

import argparse
import asyncio
import gc
import os
import statistics
import sys
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil

from bench import _metadata_plain as plain
from bench._metadata_tables import SOURCE, write_tables
from connections.documents import Database, ensure_indexes, open_documents
from etl import fma
from schemas.errors import InvalidInput
from schemas.settings import Settings
from stack.child import Child
from stack.mongod import mongod_is_primary, prepare_mongod
from stack.parts import wait_until_ready
from stack.ports import free_ports

_GOAL_ROWS_PER_S = 10_000


@dataclass(frozen=True, slots=True)
class _Timed:
    """Rows/s, and microseconds of CPU time a row of this process and of mongod."""

    rows: int
    rate: float
    client_us: float
    mongod_us: float
    changed: int


def run(arguments: list[str]) -> dict[str, Any]:
    """Return rows/s of our first load, of our second, and of the plain side, and their CPU times."""
    options = _options(arguments)
    data = options.data or Path(os.environ.get("SEGUE_TEST_DATA", "../shared/data")) / "fma-metadata"
    if not (data / SOURCE).is_file():
        raise InvalidInput(f"{data / SOURCE} is missing: give --data, or set SEGUE_TEST_DATA")
    with tempfile.TemporaryDirectory(prefix="segue-bench-") as temporary:
        folder = Path(temporary)
        write_tables(data, folder / "whole", options.rows, full=options.full)
        write_tables(data, folder / "part", options.plain_rows, full=options.full)
        settings = Settings(data_dir=folder, mongodb_port=free_ports(1)[0], mongodb_url=None)
        with _running_mongod(settings) as mongod:
            return asyncio.run(_measured(settings, mongod, options.repeats))


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench metadata-rate", description=__doc__)
    parser.add_argument("--data", type=Path, help="folder with FMA's sample tables")
    parser.add_argument("--rows", type=int, default=106_404, help="rows of our side")
    parser.add_argument("--plain-rows", type=int, default=2_000, help="rows of the plain side")
    parser.add_argument("--full", action="store_true", help="with albums, artists and raw_tracks.csv")
    parser.add_argument("--repeats", type=int, default=5)
    return parser.parse_args(arguments)


@contextmanager
def _running_mongod(settings: Settings) -> Iterator[psutil.Process]:
    child = Child(prepare_mongod(settings))
    try:
        asyncio.run(wait_until_ready(child, lambda: mongod_is_primary(settings)))
        yield psutil.Process(child.pid)
    finally:
        child.stop()


async def _measured(settings: Settings, mongod: psutil.Process, repeats: int) -> dict[str, Any]:
    whole, part = settings.data_dir / "whole", settings.data_dir / "part"
    first, second, naive = list[_Timed](), list[_Timed](), list[_Timed]()
    equal = True
    for turn in range(repeats):
        async with _fresh(settings) as ours, _fresh(settings) as theirs:
            for side in ("plain", "ours") if turn % 2 else ("ours", "plain"):
                if side == "plain":
                    naive.append(await _timed(mongod, lambda: plain.load(theirs, part)))
                else:
                    first.append(await _timed(mongod, lambda: fma.run(ours, whole, None)))
                    second.append(await _timed(mongod, lambda: fma.run(ours, whole, None)))
            equal = equal and (first[-1].changed, second[-1].changed) == (first[-1].rows, 0)
            equal = equal and await plain.differences(theirs, ours) == 0
        print(f"round {turn + 1}: {first[-1]} {second[-1]} {naive[-1]}", file=sys.stderr, flush=True)
    ratios = [mine.rate / other.rate for mine, other in zip(first, naive, strict=True)]
    return {
        "ratio": round(statistics.median(ratios), 3),
        "low": round(min(ratios), 3),
        "high": round(max(ratios), 3),
        "equal": equal,
        "rows": first[0].rows,
        "goal_rows_per_s": _GOAL_ROWS_PER_S,
        "first_load": _summary(first),
        "second_load": _summary(second),
        "plain": _summary(naive),
        "load_average": os.getloadavg()[0],
        "versions": {name: version(name) for name in ("pymongo", "motor", "pandas")},
    }


@asynccontextmanager
async def _fresh(settings: Settings) -> AsyncIterator[Database]:
    named = settings.model_copy(update={"mongodb_database": f"bench-{uuid.uuid4().hex[:12]}"})
    async with open_documents(named) as database:
        await ensure_indexes(database)
        try:
            yield database
        finally:
            await database.client.drop_database(database.name)


async def _timed(mongod: psutil.Process, load: Callable[[], Awaitable[Any]]) -> _Timed:
    gc.collect()
    client, server, began = time.process_time(), mongod.cpu_times(), time.perf_counter()
    report = await load()
    seconds = time.perf_counter() - began
    after = mongod.cpu_times()
    rows = report if isinstance(report, int) else report.rows
    return _Timed(
        rows=rows,
        rate=rows / seconds,
        client_us=(time.process_time() - client) / rows * 1e6,
        mongod_us=(after.user + after.system - server.user - server.system) / rows * 1e6,
        changed=getattr(report, "changed", rows),
    )


def _summary(timed: list[_Timed]) -> dict[str, Any]:
    return {
        "rows_per_s": round(statistics.median(each.rate for each in timed)),
        "all_rows_per_s": [round(each.rate) for each in timed],
        "client_cpu_us_per_row": round(statistics.median(each.client_us for each in timed), 1),
        "mongod_cpu_us_per_row": round(statistics.median(each.mongod_us for each in timed), 1),
    }
