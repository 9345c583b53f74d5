"""A partition's state as a snapshot part, and back."""

from collections import Counter

import structlog

from connections.snapshot_store import SnapshotStore
from recommender.history import FOLD_VERSION
from recommender.partition import PartitionState
from schemas.errors import InvalidSnapshot
from schemas.snapshots import PartHeader

_log = structlog.get_logger()


def write_part(store: SnapshotStore, snapshot_id: str, state: PartitionState) -> bool:
    """Write ``state`` as a part; False when it is there already. Blocking: call it from a thread.

    Raises
    ------
    InvalidSnapshot
        Another part stands there: two folds of one log differ.
    """
    if state.generation is None:
        raise InvalidSnapshot(f"partition {state.partition} has no generation: its log has no beginning")
    header = PartHeader(
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
    return store.write_part(header, sorted(state.histories.items()))


def read_part(store: SnapshotStore, header: PartHeader) -> PartitionState:
    """Return the state that a part holds.

    Raises
    ------
    InvalidSnapshot
        The part cannot be read, or its content does not have the digest that its header names.
    """
    found, histories = store.read_part(header.generation, header.snapshot_id, header.partition)
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
            f"part {header.partition} of snapshot {header.snapshot_id} does not have its digest"
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
