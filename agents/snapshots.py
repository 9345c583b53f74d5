"""Snapshots: a barrier in every partition, a part from every fold, the manifest last."""

import asyncio
import secrets
import time
from datetime import UTC, datetime

import structlog
from pyarrow import ArrowException

from agents.charts import ChartPublisher
from agents.parts import manifest_of
from connections import leases
from connections.documents import Database
from connections.event_log import LogReader
from connections.log_writer import LogWriter
from connections.snapshot_pins import pinned_ids
from connections.snapshot_store import SnapshotStore
from schemas import events, recommendations
from schemas.errors import InvalidSnapshot, SegueError, Unavailable
from schemas.recommendations import SnapshotReady
from schemas.settings import Settings
from schemas.snapshots import Manifest
from schemas.topics import PLAYS, SNAPSHOTS

_log = structlog.get_logger()
_TURN_S = 1.0
_LOOK_S = 5.0
_LEASE_S = 15.0
_PENDING_S = 120.0
_POLL_S = 0.1


async def ask_for_snapshot(writer: LogWriter) -> str:
    """Write a barrier into every partition; return the id of the snapshot that it begins."""
    now = datetime.now(UTC)
    snapshot_id = f"{now:%Y%m%dT%H%M%S}{now.microsecond // 1000:03d}Z-{secrets.token_hex(3)}"
    barrier = events.Barrier(snapshot_id=snapshot_id, server_time_ms=int(now.timestamp() * 1000))
    await writer.append_control(barrier)
    return snapshot_id


async def complete_snapshot(
    store: SnapshotStore, writer: LogWriter, generation: str, snapshot_id: str
) -> Manifest | None:
    """Write the manifest when all parts are there, and announce it; None while a part is missing.

    Raises
    ------
    InvalidSnapshot
        A part was made by another fold version.
    """
    parts = await asyncio.to_thread(store.parts, generation, snapshot_id, PLAYS.partitions)
    if parts is None:
        return None
    manifest = manifest_of(parts)
    await asyncio.to_thread(store.write_manifest, manifest)
    ready = SnapshotReady(
        snapshot_id=snapshot_id,
        generation=generation,
        cut=manifest.cut,
        server_time_ms=manifest.created_ms,
    )
    await writer.append(SNAPSHOTS, [(snapshot_id.encode(), recommendations.encode(ready))])
    return manifest


async def wait_for_snapshot(
    store: SnapshotStore, generation: str, snapshot_id: str, timeout_s: float
) -> Manifest:
    """Return the manifest of a snapshot once it is complete.

    Raises
    ------
    Unavailable
        Not complete within ``timeout_s``: no worker folds some partition.
    """
    until = time.monotonic() + timeout_s
    while time.monotonic() < until:
        manifest = await asyncio.to_thread(store.manifest, generation, snapshot_id)
        if manifest is not None:
            return manifest
        await asyncio.sleep(_POLL_S)
    raise Unavailable(
        f"snapshot {snapshot_id} was not complete within {timeout_s:g} s: is a worker running? (segue status)"
    )


class Coordinator:
    """The worker that holds the lease asks for snapshots, completes them, and publishes charts.

    Run ``run`` beside the worker's agent. ``begun`` is told every barrier that the worker meets.
    """

    def __init__(
        self,
        settings: Settings,
        database: Database,
        writer: LogWriter,
        store: SnapshotStore,
        generation: str,
        charts: ChartPublisher,
    ) -> None:
        self._settings = settings
        self._database = database
        self._writer = writer
        self._store = store
        self._generation = generation
        self._charts = charts
        self._pending: dict[str, float] = {}
        self._abandoned: set[str] = set()
        self._started = time.monotonic()
        self._charts_due = 0.0
        self._look_due = 0.0

    def begun(self, snapshot_id: str) -> None:
        """Note that a barrier was met: its snapshot will be complete soon."""
        self._pending.setdefault(snapshot_id, time.monotonic())

    async def run(self) -> None:
        """Act while the lease is held, for as long as the worker lives."""
        while True:
            try:
                if await leases.take(self._database, "snapshots", self._settings.worker_id, _LEASE_S):
                    await self._turn()
            except (SegueError, OSError, ArrowException) as error:
                _log.warning("coordination waits", error=str(error))
            await asyncio.sleep(_TURN_S)

    async def _turn(self) -> None:
        await self._complete_pending()
        if not self._pending and time.monotonic() >= self._look_due:
            self._look_due = time.monotonic() + _LOOK_S
            if await self._due():
                self.begun(await ask_for_snapshot(self._writer))
        if time.monotonic() >= self._charts_due:
            done = await self._charts.publish(int(time.time()) // 3_600)
            self._charts_due = time.monotonic() + (self._settings.charts_interval_s if done else 0.0)

    async def _complete_pending(self) -> None:
        for snapshot_id in await asyncio.to_thread(self._store.incomplete, self._generation):
            if snapshot_id not in self._abandoned:
                self.begun(snapshot_id)  # by a worker that is gone, or by `segue snapshot`
        for snapshot_id, since in list(self._pending.items()):
            try:
                known = await asyncio.to_thread(self._store.manifest, self._generation, snapshot_id)
                manifest = known or await complete_snapshot(
                    self._store, self._writer, self._generation, snapshot_id
                )
            except InvalidSnapshot as error:
                self._abandon(snapshot_id, str(error))
                continue
            if manifest is not None:
                del self._pending[snapshot_id]
                _log.info("snapshot is complete", snapshot_id=snapshot_id, users=manifest.users)
                await self._prune()
            elif time.monotonic() - since > _PENDING_S:
                self._abandon(snapshot_id, "a partition is not folded")

    async def _prune(self) -> None:
        in_use = await pinned_ids(self._database, self._generation)
        keep = self._settings.snapshots_kept
        await asyncio.to_thread(self._store.prune, self._generation, keep, in_use)

    def _abandon(self, snapshot_id: str, reason: str) -> None:
        del self._pending[snapshot_id]
        self._abandoned.add(snapshot_id)
        _log.error("snapshot was not completed", snapshot_id=snapshot_id, reason=reason)

    async def _due(self) -> bool:
        manifests = await asyncio.to_thread(self._store.manifests, self._generation)
        async with LogReader(self._settings) as reader:
            ends = await reader.end_offsets()
        if not manifests:
            new, age_s = sum(ends.values()) - len(ends), time.monotonic() - self._started
        else:
            cut = manifests[0].cut
            new = sum(end - cut[partition] - 1 for partition, end in ends.items())
            age_s = time.time() - manifests[0].created_ms / 1000
        enough = new >= self._settings.snapshot_events
        return enough or (new > 0 and age_s >= self._settings.snapshot_interval_s)
