"""What a training reads beside the parts: the snapshot's manifest, audio features, the served model."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import numpy as np

from connections.documents import Database, answered
from connections.event_log import LogReader
from connections.feature_store import StoredVectors
from connections.model_store import load_model, model_document, served
from connections.snapshot_pins import pinned
from connections.snapshot_store import SnapshotStore
from recommender.history import FOLD_VERSION
from schemas.documents import TRACKS
from schemas.errors import InvalidModel, InvalidSnapshot
from schemas.settings import Settings
from schemas.snapshots import Manifest
from training.artists import Artists
from training.gate import Served

NEWEST = "newest"


async def log_generation(settings: Settings) -> str:
    """Return the generation of the log."""
    async with LogReader(settings) as reader:
        return await reader.generation()


def find_snapshot(store: SnapshotStore, generation: str, snapshot_id: str) -> Manifest:
    """Return the complete snapshot of that id, which may be a replay, or the newest of the workers.

    Raises
    ------
    InvalidSnapshot
        There is none, or this code folds differently.
    """
    if snapshot_id == NEWEST:
        manifest = next(iter(store.manifests(generation)), None)
    else:
        manifest = store.manifest(generation, snapshot_id)
    if manifest is None:
        what = "no complete snapshot" if snapshot_id == NEWEST else f"no complete snapshot {snapshot_id}"
        raise InvalidSnapshot(f"there is {what} of this log in {store.uri}: run `segue snapshot`")
    if manifest.fold_version != FOLD_VERSION:
        raise InvalidSnapshot(
            f"snapshot {manifest.snapshot_id} is of fold version {manifest.fold_version}, this code folds "
            f"{FOLD_VERSION}: run `segue snapshot`"
        )
    return manifest


@asynccontextmanager
async def using_snapshot(
    database: Database, store: SnapshotStore, generation: str, snapshot_id: str
) -> AsyncIterator[Manifest]:
    """Yield a snapshot that is not pruned meanwhile; see ``find_snapshot``.

    Raises
    ------
    InvalidSnapshot, DocumentsUnavailable
    """
    manifest = find_snapshot(store, generation, snapshot_id)
    async with pinned(database, generation, manifest.snapshot_id):
        yield find_snapshot(store, generation, manifest.snapshot_id)  # unless it went just before


def part_uris(store: SnapshotStore, manifest: Manifest) -> list[str]:
    """Return the addresses of the parts that hold users, after comparing each header with the manifest.

    Raises
    ------
    InvalidSnapshot
        A part is missing, cannot be read, or is another one than the manifest names.
    """
    for part in manifest.parts:
        found = store.named_header(manifest.generation, manifest.snapshot_id, part.partition)
        if found != part:
            raise InvalidSnapshot(
                f"part {part.partition} of snapshot {manifest.snapshot_id} is not the one that its manifest "
                f"names (digest {found.digest[:12]}, not {part.digest[:12]}): run `segue snapshot`"
            )
    return [
        store.part_uri(manifest.generation, manifest.snapshot_id, part.partition)
        for part in manifest.parts
        if part.users
    ]


async def read_artists(database: Database) -> Artists:
    """Return who made each track of the catalogue.

    Raises
    ------
    DocumentsUnavailable
        MongoDB did not answer.
    """
    cursor = database[TRACKS.name].find({}, {"artist_id": 1}).sort("_id", 1)
    found = await answered(cursor.to_list(None), "reading the artists")
    ids = np.array([(track["_id"], track["artist_id"]) for track in found], np.int64).reshape(-1, 2)
    return Artists(ids[:, 0], ids[:, 1])


async def read_served(database: Database, generation: str) -> Served | None:
    """Return the served model with its evaluation; None without one, or when it is damaged or of another log.

    Neither must keep a good one out.
    """
    pointer = await served(database)
    if pointer is None:
        return None
    document = await model_document(database, pointer["model_id"])
    try:
        model = await load_model(database, pointer["model_id"], generation=generation)
    except InvalidModel:
        return None
    metrics = document["metrics"] if document else {}
    snapshot = metrics.get("snapshot", {})
    holds_until_ms = snapshot.get("holds_until_ms", snapshot.get("created_ms", 0))
    return Served(model, metrics, holds_until_ms / 1000.0)


def describe_inputs(manifest: Manifest, features: StoredVectors | None) -> dict[str, Any]:
    """Return what identifies the inputs, for ``training_id``."""
    return {
        "generation": manifest.generation,
        "parts": [[part.partition, part.cut, part.digest] for part in manifest.parts],
        "features": None if features is None else features.digest,
    }
