"""What a snapshot consists of: one part per partition, and a manifest that is written last."""

import msgspec

from schemas.errors import InvalidSnapshot

REPLAY_PREFIX = "replay-"
"""Ids of snapshots that `segue replay` makes; the id of any other begins with the time of its barrier."""


def is_replay(snapshot_id: str) -> bool:
    """Say whether a snapshot is a replay: made on request, of any cut, and never "the newest"."""
    return snapshot_id.startswith(REPLAY_PREFIX)


class PartHeader(msgspec.Struct, frozen=True, kw_only=True):
    """Names one part: the fold of one partition below ``cut``. Stands in the Parquet file's metadata.

    Attributes
    ----------
    digest : SHA-256 of the canonical state (``recommender.partition.PartitionState.digest``)
    model_id, model_seq : the partition's active model at the cut
    counts : offsets below the cut in each class; they add up to ``cut``
    users : rows of the part
    newest_event_ms : server time of the newest user event below the cut; None where it was not looked for
    """

    generation: str
    snapshot_id: str
    partition: int
    cut: int
    fold_version: str
    digest: str
    model_id: str | None
    model_seq: int
    counts: dict[str, int]
    users: int
    newest_event_ms: int | None = None


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """All parts of a snapshot; a snapshot without a manifest is not complete.

    Attributes
    ----------
    created_ms : when it was completed, milliseconds since 1970
    """

    snapshot_id: str
    generation: str
    fold_version: str
    schema_version: int
    code_version: str
    created_ms: int
    parts: list[PartHeader]

    @property
    def holds_until_ms(self) -> int:
        """No event in it is newer, milliseconds since 1970: a replay may be made long after its cut."""
        newest = [part.newest_event_ms for part in self.parts if part.newest_event_ms is not None]
        return max(newest) if newest and len(newest) == len(self.parts) else self.created_ms

    @property
    def cut(self) -> dict[int, int]:
        """Offset in each partition below which the snapshot is the fold."""
        return {part.partition: part.cut for part in self.parts}

    @property
    def counts(self) -> dict[str, int]:
        """Offsets in each class over all partitions."""
        total: dict[str, int] = {}
        for part in self.parts:
            for outcome, count in part.counts.items():
                total[outcome] = total.get(outcome, 0) + count
        return total

    @property
    def users(self) -> int:
        """Users over all partitions."""
        return sum(part.users for part in self.parts)


class ReplayPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What a replay was asked for; stands in its folder from its first second, so that it can go on.

    Attributes
    ----------
    cut : offset in each partition below which the log is folded
    from_beginning : whether no part of another snapshot may be begun from
    created_ms : when it was first asked for, milliseconds since 1970
    """

    snapshot_id: str
    generation: str
    fold_version: str
    cut: dict[int, int]
    from_beginning: bool
    created_ms: int


def encode(document: Manifest | PartHeader | ReplayPlan) -> bytes:
    """Return the document as JSON."""
    return msgspec.json.encode(document)


def decode_manifest(data: bytes) -> Manifest:
    """Return the manifest in ``data``; raise ``InvalidSnapshot`` when it is none."""
    try:
        return msgspec.json.decode(data, type=Manifest)
    except msgspec.MsgspecError as error:
        raise InvalidSnapshot(f"not a manifest: {error}") from None


def decode_part_header(data: bytes) -> PartHeader:
    """Return the header in ``data``; raise ``InvalidSnapshot`` when it is none."""
    try:
        return msgspec.json.decode(data, type=PartHeader)
    except msgspec.MsgspecError as error:
        raise InvalidSnapshot(f"not a part: {error}") from None


def decode_plan(data: bytes) -> ReplayPlan:
    """Return the plan in ``data``; raise ``InvalidSnapshot`` when it is none."""
    try:
        return msgspec.json.decode(data, type=ReplayPlan)
    except msgspec.MsgspecError as error:
        raise InvalidSnapshot(f"not the plan of a replay: {error}") from None
