"""FMA's table of features: rows per second into documents, against pandas and insert_many.

Uses the mongod of ``SEGUE_MONGODB_PORT`` (or ``SEGUE_MONGODB_URL``) with databases of its own, which it
removes at the end. The table is made here, in FMA's layout.
"""

import argparse
import asyncio
import multiprocessing
import re
import tempfile
import time
import uuid
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bench._feature_table import table_rows, write_table
from connections.documents import Database, ensure_indexes, open_documents
from etl.precomputed import load_precomputed
from etl.precomputed_table import COLUMNS, NAMES, read_layout, read_rows
from etl.progress import meter
from schemas.documents import FEATURES
from schemas.settings import Settings

_FMA_ROWS = 106_574


def run(arguments: list[str]) -> dict[str, Any]:
    """Return rows per second and the ratio to the plain way (above 1: Segue is faster).

    Segue reads the table twice, checks every number and can be interrupted; the plain way holds the table
    in memory and inserts. ``equal`` says that both leave the same numbers.
    """
    parser = argparse.ArgumentParser(prog="python -m bench precomputed", description=__doc__)
    parser.add_argument("--rows", type=int, default=20_000, help="rows of the table")
    parser.add_argument("--rounds", type=int, default=5, help="repetitions of each side")
    options = parser.parse_args([each for each in arguments if each != "--json"])
    with tempfile.TemporaryDirectory(prefix="segue-bench-") as name:
        folder = Path(name)
        with meter("making the table", None):
            path = write_table(folder / "features.csv", table_rows(range(2, options.rows + 2)))
            half = write_table(folder / "half.csv", table_rows(range(2, options.rows // 2 + 2)))
        result = asyncio.run(_measure(path, options.rows, options.rounds))
        memory = {"peak_mib_of_half": _peak_mib(half), "peak_mib": _peak_mib(path)}
    return {
        **result,
        **memory,
        "versions": {each: version(each) for each in ("pyarrow", "pandas", "pymongo")},
    }


async def _measure(path: Path, rows: int, rounds: int) -> dict[str, Any]:
    ratios, rates, again_rates, equal = [], [], [], True
    with meter("rounds", rounds) as progress:
        for turn in range(rounds):
            spent: dict[Any, float] = {}
            left: dict[Any, Any] = {}
            for side in (_ours, _plain) if turn % 2 else (_plain, _ours):
                spent[side], again_s, left[side] = await _timed(side, path, rows)
                if again_s is not None:
                    again_rates.append(rows / again_s)
            equal = equal and all(
                np.allclose(one, other, rtol=1e-9, atol=1e-9)
                for one, other in zip(left[_ours], left[_plain], strict=True)
            )
            ratios.append(spent[_plain] / spent[_ours])
            rates.append(rows / spent[_ours])
            progress.advance()
    middle = float(np.median(rates))
    return {
        "ratio": round(float(np.median(ratios)), 3),
        "low": round(min(ratios), 3),
        "high": round(max(ratios), 3),
        "equal": equal,
        "rows": rows,
        "rows_per_s": round(middle),
        "rows_per_s_low": round(min(rates)),
        "rows_per_s_high": round(max(rates)),
        "second_run_rows_per_s": round(float(np.median(again_rates))),
        "seconds_for_fma": round(_FMA_ROWS / middle),
    }


async def _timed(side: Any, path: Path, rows: int) -> tuple[float, float | None, tuple[Any, Any]]:
    """Run a side on an empty database; return its seconds, those of a second run, and its numbers."""
    settings = Settings().model_copy(update={"mongodb_database": f"bench-{uuid.uuid4().hex[:8]}"})
    async with open_documents(settings) as database:
        await ensure_indexes(database)
        try:
            started = time.perf_counter()
            await side(database, path, rows)
            seconds, again_s = time.perf_counter() - started, None
            if side is _ours:
                started = time.perf_counter()
                await side(database, path, rows)
                again_s = time.perf_counter() - started
            found = await database[FEATURES.name].find({}).sort("_id", 1).to_list(None)
            numbers = np.array([each["raw"] for each in found]), np.array([each["scaled"] for each in found])
            return seconds, again_s, numbers
        finally:
            await database.client.drop_database(database.name)


async def _ours(database: Database, path: Path, rows: int) -> None:
    await load_precomputed(database, path, range(2, rows + 2))


async def _plain(database: Database, path: Path, rows: int) -> None:
    table = pd.read_csv(path, index_col=0, header=[0, 1, 2], float_precision="round_trip")
    raw = table[list(COLUMNS)].to_numpy()
    scaled = (raw - raw.mean(axis=0)) / raw.std(axis=0)
    documents = [
        {
            "_id": track_id,
            "version": "plain",
            "names": list(NAMES),
            "raw": one,
            "scaled": other,
            "scaler_id": "x",
        }
        for track_id, one, other in zip(table.index.tolist(), raw.tolist(), scaled.tolist(), strict=True)
    ]
    await database[FEATURES.name].insert_many(documents, ordered=False)


def _peak_mib(path: Path) -> int:
    """Return the most memory that reading the table takes, in a process of its own."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_read, (path,))


def _read(path: Path) -> int:
    layout = read_layout(path)
    for _ in read_rows(layout, range(2, 2**31)):
        pass
    # not ru_maxrss: that begins with what the parent had
    peak = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(peak[1]) // 1024 if peak else 0
