"""The coordinator of snapshots, on a real log and a real mongod."""

import asyncio
from pathlib import Path

import msgspec

from agents.charts import ChartPublisher
from agents.snapshots import Coordinator
from connections.documents import open_documents
from connections.log_writer import LogWriter
from connections.snapshot_pins import pinned
from connections.snapshot_store import SnapshotStore
from schemas.settings import Settings
from tests.training.conftest import snapshot_of
from tests.worlds import begin_world

NAMES = [f"2026010{day}T000000000Z-aaaaaa" for day in range(1, 6)]


async def test_a_snapshot_that_somebody_reads_outlives_its_time(settings: Settings) -> None:
    settings = settings.model_copy(update={"snapshots_kept": 2})
    store = SnapshotStore(settings.snapshot_location)
    async with open_documents(settings) as database, LogWriter(settings) as writer:
        generation = await begin_world(settings, database)
        manifests = [snapshot_of(settings, generation, {}, name) for name in NAMES]
        for path in Path(settings.data_dir).rglob(f"{NAMES[-1]}/manifest.json"):
            path.unlink()  # the newest one is not complete yet
        charts = ChartPublisher(database, generation, lambda: None)
        coordinator = Coordinator(settings, database, writer, store, generation, charts)
        async with pinned(database, generation, NAMES[1]):
            running = asyncio.create_task(coordinator.run())
            try:
                while len(found := [one.snapshot_id for one in store.manifests(generation)]) > 3:
                    await asyncio.sleep(0.05)
            finally:
                running.cancel()
                await asyncio.gather(running, return_exceptions=True)
    assert found == [NAMES[4], NAMES[3], NAMES[1]]
    kept = store.manifest(generation, NAMES[1])
    assert kept is not None
    assert msgspec.structs.replace(kept, created_ms=0) == msgspec.structs.replace(manifests[1], created_ms=0)
