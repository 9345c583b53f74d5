"""A partition's state as a snapshot part, and back."""

import time
from collections import Counter
from collections.abc import Sequence
from importlib.metadata import version

import structlog

from connections.snapshot_store import SnapshotStore
from recommender.history import FOLD_VERSION
from recommender.partition import PartitionState
from schemas import events
from schemas.errors import InvalidSnapshot
from schemas.snapshots import Manifest, PartHeader

_log = structlog.get_logger()


def write_part(store: SnapshotStore, snapshot_id: str, state: PartitionState) -> bool:
    """Write ``state`` as a part; False when it is there already. Blocking: call it from a thread.

    Raises
    ------
    InvalidSnapshot
        Another part stands there: two folds of one log differ.
    """
    return store.write_part(header_of(snapshot_id, state), sorted(state.histories.items()))


def header_of(snapshot_id: str, state: PartitionState) -> PartHeader:
    """Return what names ``state`` as a part of a snapshot; raise ``InvalidSnapshot`` at position 0."""
    if state.generation is None:
        raise InvalidSnapshot(f"partition {state.partition} has no generation: its log has no beginning")
    return PartHeader(
        generation=state.generation,
        snapshot_id=snapshot_id,
        partition=state.partition,
        cut=state.position,
        fold_version=FOLD_VERSION,
        digest=state.digest(),
        model_id=state.model_id,
        model_seq=state.model_seq,
        counts=dict(sorted(state.counts.items())),
        users=len(state.histories),
    )


def manifest_of(parts: Sequence[PartHeader]) -> Manifest:
    """Return the manifest that completes a snapshot of these parts now.

    Raises
    ------
    InvalidSnapshot
        A part was made by another fold version.
    """
    first = parts[0]
    if any(part.fold_version != FOLD_VERSION for part in parts):
        raise InvalidSnapshot(f"snapshot {first.snapshot_id} has parts of another fold version")
    return Manifest(
        snapshot_id=first.snapshot_id,
        generation=first.generation,
        fold_version=FOLD_VERSION,
        schema_version=events.SCHEMA_VERSION,
        code_version=version("segue"),
        created_ms=time.time_ns() // 1_000_000,
        parts=list(parts),
    )


def read_part(store: SnapshotStore, header: PartHeader) -> PartitionState:
    """Return the state that a part holds.

    Raises
    ------
    InvalidSnapshot
        The part cannot be read, or its content does not have the digest that its header names.
    """
    return state_of(*store.read_part(header.generation, header.snapshot_id, header.partition))


def state_of(found: PartHeader, histories: dict[str, bytes]) -> PartitionState:
    """Return the state that a file holds; raise ``InvalidSnapshot`` when it has not the digest it names."""
    state = PartitionState(
        partition=found.partition,
        position=found.cut,
        generation=found.generation,
        histories=histories,
        model_id=found.model_id,
        model_seq=found.model_seq,
        counts=Counter(found.counts),
    )
    if state.digest() != found.digest:
        raise InvalidSnapshot(
            f"part {found.partition} of snapshot {found.snapshot_id} does not have its digest"
        )
    return state


def newest_state(store: SnapshotStore, generation: str, partition: int, at_most: int) -> PartitionState:
    """Return the state in the newest usable part whose cut is not beyond ``at_most``, else the empty one.

    A part of another fold version is never used; a corrupt one is reported and passed over.
    """
    for header in store.part_headers(generation, partition):
        if header.cut > at_most:
            continue
        if header.fold_version != FOLD_VERSION:
            _log.warning("part of another fold version", **_name(header), fold_version=header.fold_version)
            continue
        try:
            return read_part(store, header)
        except InvalidSnapshot as error:
            _log.error("corrupt part, an older one is used", **_name(header), error=str(error))
    return PartitionState(partition)


def _name(header: PartHeader) -> dict[str, object]:
    return {"snapshot_id": header.snapshot_id, "partition": header.partition, "cut": header.cut}
