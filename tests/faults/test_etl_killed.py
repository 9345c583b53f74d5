"""The ETL is killed at random moments and run again: what is stored equals what an undisturbed run stores."""

import asyncio
import random
import shutil
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from connections.documents import Database, open_documents
from schemas.documents import (
    CATALOGUE,
    FEATURES,
    GENRES,
    REJECTED_TRACKS,
    SCALERS,
    TRACK_DETAILS,
    TRACKS,
)
from schemas.settings import Settings
from tests.faults.ledger import LONG, ROUNDS, Ledger, Tally
from tests.faults.test_broken_audio import write_known, write_metadata
from tests.programs import environment

KILLS = 4 * ROUNDS if LONG else 3
_STORED = (TRACKS, TRACK_DETAILS, GENRES, FEATURES, SCALERS, CATALOGUE, REJECTED_TRACKS)
_TIMES = ("updated_ms", "created_ms")


async def _run(settings: Settings, metadata: Path, clips: Path, *, kill_after_s: float | None = None) -> bool:
    """Run the real command; kill it after some time unless it has ended; return whether it was killed."""
    command = ["-m", "etl", "run", "--metadata", str(metadata), "--audio", str(clips), "--json"]
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *command,
        env=environment(settings),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    ending = asyncio.create_task(process.communicate())
    if kill_after_s is not None:
        await asyncio.wait({ending}, timeout=kill_after_s)
        if process.returncode is None:
            process.kill()
    _, said = await ending
    if kill_after_s is None or process.returncode not in (0, -9):
        assert process.returncode == 0, said.decode()
    return process.returncode == -9


async def _stored(database: Database, *, times: bool) -> dict[str, list[dict[str, Any]]]:
    found = {}
    for collection in _STORED:
        documents = await database[collection.name].find().sort("_id", 1).to_list(None)
        dropped = () if times else _TIMES
        found[collection.name] = [
            {name: value for name, value in document.items() if name not in dropped} for document in documents
        ]
    return found


@pytest.mark.slow
@pytest.mark.timeout(240 + 60 * KILLS)
async def test_an_etl_that_is_killed_and_run_again_stores_what_an_undisturbed_one_stores(
    settings: Settings, sample_data: Path, tmp_path: Path, ledger: Ledger
) -> None:
    clips = tmp_path / "clips"
    clips.mkdir()
    known = write_known(clips)
    fma, others = (sorted((sample_data / name).glob("*.mp3")) for name in ("fma-audio", "cc-music-clips"))
    real = [*fma, *others[:6]]
    for number, path in enumerate(real, start=1):
        shutil.copy2(path, clips / f"{number:06d}.mp3")
    metadata = write_metadata(tmp_path / "metadata", [*range(1, len(real) + 40), *known])
    calm = settings.model_copy(update={"mongodb_database": f"{settings.mongodb_database}-calm"})
    async with open_documents(settings) as database, open_documents(calm) as undisturbed:
        try:
            began = time.monotonic()
            await _run(calm, metadata, clips)
            whole_s = time.monotonic() - began
            seed = ledger.next_seed("ETL")
            draw, killed, runs = random.Random(seed), 0, 0
            while killed < KILLS and runs < 3 * KILLS:
                ended = await _run(settings, metadata, clips, kill_after_s=draw.uniform(0.1, 0.9) * whole_s)
                killed, runs = killed + ended, runs + 1
                if not ended:
                    # it was done before: begin anew, or the later kills would meet nothing to do
                    await database.client.drop_database(settings.mongodb_database)
            await _run(settings, metadata, clips)
            found = await _stored(database, times=False)
            expected = await _stored(undisturbed, times=False)
            ledger.note(Tally("ETL", "SIGKILL of `etl run`", seed, kills=killed, notes={"runs": runs + 1}))
            assert killed == KILLS
            assert found == expected
            assert len(found[FEATURES.name]) >= 12
            assert {one["_id"] for one in found[REJECTED_TRACKS.name]} >= {
                f"fma:{number}" for number in known
            }

            before = await _stored(database, times=True)
            await _run(settings, metadata, clips)
            assert await _stored(database, times=True) == before, "a second run changes nothing"
        finally:
            for one in (database, undisturbed):
                await one.client.drop_database(one.name)
