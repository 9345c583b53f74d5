"""Verify: a snapshot is exactly the fold of the log below its cut. Refold, and compare hash by hash."""

from typing import Any

from agents.audit import fold_again
from agents.parts import read_part
from connections.event_log import LogReader
from connections.snapshot_store import SnapshotStore
from recommender.history import FOLD_VERSION
from schemas.errors import InvalidSnapshot
from schemas.settings import Settings


async def verify(settings: Settings, snapshot_id: str | None) -> dict[str, Any]:
    """Refold the log below a snapshot's cut and compare with its parts; the newest by default.

    Raises
    ------
    InvalidSnapshot
        There is no such snapshot, or it is of another fold version.
    LogUnavailable
        Kafka did not answer.
    """
    store = SnapshotStore(settings.snapshot_location)
    async with LogReader(settings) as reader:
        generation = await reader.generation()
        if snapshot_id is None:
            manifest = next(iter(store.manifests(generation)), None)
        else:
            manifest = store.manifest(generation, snapshot_id)
        if manifest is None:
            raise InvalidSnapshot(
                f"no complete snapshot {snapshot_id or ''} of this log: make one by `segue snapshot`"
            )
        if manifest.fold_version != FOLD_VERSION:
            raise InvalidSnapshot(
                f"snapshot {manifest.snapshot_id} is of fold version {manifest.fold_version}, "
                f"this is {FOLD_VERSION}: make a new one by `segue snapshot`"
            )
        partitions = []
        for header in manifest.parts:
            refolded, _ = await fold_again(reader, header.partition, header.cut)
            stored = read_part(store, header).digest()
            partitions.append(
                {
                    "partition": header.partition,
                    "cut": header.cut,
                    "users": header.users,
                    "equal": refolded.digest() == header.digest == stored,
                }
            )
    return {
        "snapshot_id": manifest.snapshot_id,
        "generation": generation,
        "equal": all(part["equal"] for part in partitions),
        "partitions": partitions,
    }
