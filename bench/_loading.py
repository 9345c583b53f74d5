"""A process that loads the sound of all files in a folder into its mongod: `python -m bench._loading FOLDER`.

It prints one JSON object: how many were loaded and refused, seconds, and its own peak memory.
"""

import asyncio
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from connections.documents import Database, ensure_indexes, open_documents
from etl.sound import load_sound, sound_file
from schemas.documents import TRACKS
from schemas.settings import Settings

_BATCH = 5_000


def peak_mib(pid: int) -> float:
    """Return the largest memory that a process has held so far, in MiB; 0 when it has gone."""
    try:
        with open(f"/proc/{pid}/status") as file:
            return next((int(line.split()[1]) / 1024 for line in file if line.startswith("VmHWM")), 0.0)
    except OSError:
        return 0.0


async def _load(folder: Path) -> dict[str, Any]:
    async with open_documents(Settings()) as database:
        await ensure_indexes(database)
        paths = sorted(folder.iterdir())
        await _describe(database, len(paths))
        files = [sound_file(n, path, str(n), stored_as=str(path)) for n, path in enumerate(paths, start=1)]
        started = time.monotonic()
        report = await load_sound(database, files, {})
        return {
            "extracted": report.extracted,
            "rejected": report.reasons,
            "seconds": round(time.monotonic() - started, 1),
            "parent_mib": round(peak_mib(os.getpid()), 1),
        }


async def _describe(database: Database, tracks: int) -> None:
    """Write a document for each track."""
    for start in range(1, tracks + 1, _BATCH):
        await database[TRACKS.name].insert_many(
            {"_id": n, "title": f"Track {n}", "source": "bench", "source_key": str(n), "audio": None}
            for n in range(start, min(start + _BATCH, tracks + 1))
        )


if __name__ == "__main__":
    print(json.dumps(asyncio.run(_load(Path(sys.argv[1])))))
