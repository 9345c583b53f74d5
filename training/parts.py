"""Snapshot parts as record batches, from any file system that pyarrow opens. Runs inside Spark's workers.

Spark's own readers know other addresses than pyarrow, and would take a damaged part for a good one: so a
part is opened as the workers of the log open it, and its content is compared with its digest.
"""

from collections import Counter
from collections.abc import Iterator

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import fs

from connections.snapshot_store import HEADER_KEY
from recommender.partition import PartitionState
from schemas import snapshots
from schemas.errors import InvalidSnapshot

_ROWS = 1_000


def part_batches(uri: str) -> Iterator[pa.RecordBatch]:
    """Yield (user_id, history) of one part in batches of at most 1,000 users.

    Parameters
    ----------
    uri : any that ``pyarrow.fs.FileSystem.from_uri`` opens: ``file://``, ``s3://``, ``gs://``, ``hdfs://``,
        ``fsspec+...://``. A file without a part's header is read as it is.

    Raises
    ------
    InvalidSnapshot
        The part is missing, cannot be read, or its content does not have the digest that its header names.
    """
    try:
        files, path = fs.FileSystem.from_uri(uri)
        with files.open_input_file(path) as source:
            table = pq.ParquetFile(source).read(columns=["user_id", "history"])
    except (OSError, pa.ArrowException) as error:
        raise InvalidSnapshot(f"{uri} cannot be read: {error}") from error
    _check_digest(uri, table)
    yield from table.to_batches(max_chunksize=_ROWS)


def _check_digest(uri: str, table: pa.Table) -> None:
    data = (table.schema.metadata or {}).get(HEADER_KEY)
    if data is None:
        return
    header = snapshots.decode_part_header(data)
    rows = zip(table["user_id"].to_pylist(), table["history"].to_pylist(), strict=True)
    state = PartitionState(
        partition=header.partition,
        position=header.cut,
        generation=header.generation,
        histories=dict(rows),
        model_id=header.model_id,
        model_seq=header.model_seq,
        counts=Counter(header.counts),
    )
    found = state.digest()
    if found != header.digest:
        raise InvalidSnapshot(
            f"{uri} does not hold what its header names (digest {found[:12]}, not {header.digest[:12]}): "
            "it is damaged; run `segue snapshot`"
        )
