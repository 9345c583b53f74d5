"""What a snapshot consists of: one part per partition, and a manifest that is written last."""

import msgspec

from schemas.errors import InvalidSnapshot


class PartHeader(msgspec.Struct, frozen=True, kw_only=True):
    """Names one part: the fold of one partition below ``cut``. Stands in the Parquet file's metadata.

    Attributes
    ----------
    digest : SHA-256 of the canonical state (``recommender.partition.PartitionState.digest``)
    model_id, model_seq : the partition's active model at the cut
    counts : offsets below the cut in each class; they add up to ``cut``
    users : rows of the part
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


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """All parts of a snapshot; a snapshot without a manifest is not complete."""

    snapshot_id: str
    generation: str
    fold_version: str
    schema_version: int
    code_version: str
    created_ms: int
    parts: list[PartHeader]

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


def encode(document: Manifest | PartHeader) -> bytes:
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
