"""Snapshot parts and manifests in any file system that pyarrow opens.

::

    <uri>/<generation>/<snapshot_id>/part-03.parquet    columns user_id (string), history (binary)
    <uri>/<generation>/<snapshot_id>/manifest.json      written last

A part is both the checkpoint from which workers restore and the trainer's input. A file is written under
a temporary name, synced, and renamed. Snapshots that `segue replay` makes lie beside the others: their parts
are checkpoints like any other, but newest, incomplete and pruned are said of the workers' snapshots alone.
Blocking: call it from a thread or a process of its own.
"""

import heapq
from collections.abc import Container, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import structlog
from pyarrow import fs

from connections.whole_files import Replacing
from schemas import snapshots
from schemas.errors import InvalidInput, InvalidSnapshot
from schemas.snapshots import Manifest, PartHeader, is_replay

_log = structlog.get_logger()
HEADER_KEY = b"segue.part"
_ROWS = 1_000  # a chunk small enough that a thread never holds the interpreter for long
_SCHEMA = pa.schema([("user_id", pa.string()), ("history", pa.binary())])


class SnapshotStore:
    """Parts and manifests below one URI.

    Parameters
    ----------
    uri : ``file:///...`` or any other URI that ``pyarrow.fs.FileSystem.from_uri`` opens

    Raises
    ------
    InvalidInput
        There is no file system for such an address.
    """

    def __init__(self, uri: str) -> None:
        self.uri = uri.rstrip("/")
        try:
            self._files, self._root = fs.FileSystem.from_uri(self.uri)
        except (pa.ArrowException, ValueError, OSError, ImportError) as error:
            raise InvalidInput(f"no file system for SEGUE_SNAPSHOT_URI={uri}: {error}") from error

    def write_part(self, header: PartHeader, rows: Iterable[tuple[str, bytes]]) -> bool:
        """Write one part; return False when the same part is there already.

        Raises
        ------
        InvalidSnapshot
            Another part stands there: two folds of the same log differ, which is a defect to report.
        """
        path = self._part_path(header.generation, header.snapshot_id, header.partition)
        if self._exists(path):
            found = self._read_header(path)
            if found.digest != header.digest:
                raise InvalidSnapshot(
                    f"{path}: two folds of partition {header.partition} below {header.cut} differ "
                    f"({found.digest} and {header.digest})"
                )
            return False
        self._write(path, header, rows)
        return True

    def read_part(
        self, generation: str, snapshot_id: str, partition: int
    ) -> tuple[PartHeader, dict[str, bytes]]:
        """Return a part's header and histories by user id; the caller compares the digest.

        Raises
        ------
        InvalidSnapshot
            The part is missing or cannot be read.
        """
        return self._read(self._part_path(generation, snapshot_id, partition))

    def _write(self, path: str, header: PartHeader, rows: Iterable[tuple[str, bytes]]) -> None:
        schema = _SCHEMA.with_metadata({HEADER_KEY: snapshots.encode(header)})
        with self._replacing(path) as sink, pq.ParquetWriter(sink, schema, compression="zstd") as writer:
            for chunk in _chunks(rows):
                users = _column(pa.string(), [user_id.encode() for user_id, _ in chunk])
                histories = _column(pa.binary(), [history for _, history in chunk])
                writer.write_table(pa.Table.from_arrays([users, histories], schema=schema))

    def part_blocks(self, header: PartHeader) -> int:
        """Return how many blocks of users (row groups) a part has.

        Raises
        ------
        InvalidSnapshot
            The part is missing, cannot be read, or is not the one that ``header`` names.
        """
        with self._named(header) as part:
            return int(part.num_row_groups)

    def read_block(self, header: PartHeader, block: int) -> dict[str, bytes]:
        """Return the histories of one block of a part by user id; raises as ``part_blocks``."""
        with self._named(header) as part:
            return _histories(part.read_row_group(block))

    def _read(self, path: str) -> tuple[PartHeader, dict[str, bytes]]:
        with self._opened(path) as part:
            return self._header_of(path, part.schema_arrow), _histories(part.read())

    @contextmanager
    def _opened(self, path: str) -> Iterator[pq.ParquetFile]:
        try:
            with self._files.open_input_file(path) as source:
                # not `read_table`: it loads what reads whole folders, 0.4 s of each recovery
                yield pq.ParquetFile(source)
        except (OSError, pa.ArrowException) as error:
            raise InvalidSnapshot(f"{path}: {error}") from error

    @contextmanager
    def _named(self, header: PartHeader) -> Iterator[pq.ParquetFile]:
        path = self._part_path(header.generation, header.snapshot_id, header.partition)
        with self._opened(path) as part:
            if self._header_of(path, part.schema_arrow) != header:
                raise InvalidSnapshot(f"{path} is not the part that the manifest names")
            yield part

    def named_header(self, generation: str, snapshot_id: str, partition: int) -> PartHeader:
        """Return the header of one part.

        Raises
        ------
        InvalidSnapshot
            The part is missing or cannot be read.
        """
        return self._read_header(self._part_path(generation, snapshot_id, partition))

    def part_headers(self, generation: str, partition: int) -> Iterator[PartHeader]:
        """Yield the headers of one partition's parts, greatest cut first, of complete snapshots or not.

        Later barriers have greater cuts, so the workers' parts are read one by one, as far as they are
        wanted; of a replay only its part tells where it was cut.
        """
        names = self._snapshot_ids(generation)
        replayed = list(self._headers(generation, filter(is_replay, names), partition))
        replayed.sort(key=_cut, reverse=True)
        others = self._headers(generation, (name for name in names if not is_replay(name)), partition)
        return heapq.merge(others, replayed, key=_cut, reverse=True)

    def _headers(self, generation: str, names: Iterable[str], partition: int) -> Iterator[PartHeader]:
        for snapshot_id in names:
            path = self._part_path(generation, snapshot_id, partition)
            try:
                if self._exists(path):
                    yield self._read_header(path)
            except InvalidSnapshot as error:
                _log.error("part without a readable header is passed over", error=str(error))

    def parts(self, generation: str, snapshot_id: str, partitions: int) -> list[PartHeader] | None:
        """Return the headers of all parts of a snapshot, or None while one is missing."""
        paths = [self._part_path(generation, snapshot_id, p) for p in range(partitions)]
        if not all(map(self._exists, paths)):
            return None
        return [self._read_header(path) for path in paths]

    def part_uri(self, generation: str, snapshot_id: str, partition: int) -> str:
        """Return the address of a part, as Spark and pyarrow read it."""
        return f"{self.uri}/{generation}/{snapshot_id}/{_part_name(partition)}"

    def write_manifest(self, manifest: Manifest) -> None:
        """Complete a snapshot."""
        path = f"{self._folder(manifest.generation, manifest.snapshot_id)}/manifest.json"
        with self._replacing(path) as sink:
            sink.write(snapshots.encode(manifest))

    def manifests(self, generation: str) -> list[Manifest]:
        """Return the workers' complete snapshots of a log, newest first; no unreadable ones."""
        found = []
        for name in self._barrier_ids(generation):
            try:
                manifest = self.manifest(generation, name)
            except InvalidSnapshot as error:
                _log.error("a snapshot is passed over", snapshot_id=name, error=str(error))
                continue
            if manifest is not None:
                found.append(manifest)
        return found

    def manifest(self, generation: str, snapshot_id: str) -> Manifest | None:
        """Return one complete snapshot, of the workers or a replay, or None."""
        path = f"{self._folder(generation, snapshot_id)}/manifest.json"
        if not self._exists(path):
            return None
        with self._files.open_input_file(path) as source:
            try:
                return snapshots.decode_manifest(source.read())
            except InvalidSnapshot as error:
                raise InvalidSnapshot(f"{path}: {error}") from error

    def incomplete(self, generation: str) -> list[str]:
        """Return the workers' snapshots that have no manifest and are newer than the newest complete one."""
        found = []
        for snapshot_id in self._barrier_ids(generation):
            if self._exists(f"{self._folder(generation, snapshot_id)}/manifest.json"):
                break
            found.append(snapshot_id)
        return found

    def prune(self, generation: str, keep: int, in_use: Container[str] = ()) -> list[str]:
        """Remove the workers' snapshots but those in use, the ``keep`` newest complete ones and newer.

        Returns
        -------
        the ids that went
        """
        complete = [manifest.snapshot_id for manifest in self.manifests(generation)]
        if len(complete) <= keep:
            return []
        oldest_kept = complete[keep - 1]
        gone = [name for name in self._barrier_ids(generation) if name < oldest_kept and name not in in_use]
        for snapshot_id in gone:
            self._files.delete_dir(self._folder(generation, snapshot_id))
        return gone

    def _snapshot_ids(self, generation: str) -> list[str]:
        selector = fs.FileSelector(f"{self._root}/{generation}", allow_not_found=True)
        found = self._files.get_file_info(selector)
        names = (info.base_name for info in found if info.type is fs.FileType.Directory)
        return sorted(names, reverse=True)

    def _barrier_ids(self, generation: str) -> list[str]:
        return [name for name in self._snapshot_ids(generation) if not is_replay(name)]

    def _folder(self, generation: str, snapshot_id: str) -> str:
        return f"{self._root}/{generation}/{snapshot_id}"

    def _part_path(self, generation: str, snapshot_id: str, partition: int) -> str:
        return f"{self._folder(generation, snapshot_id)}/{_part_name(partition)}"

    def _exists(self, path: str) -> bool:
        return bool(self._files.get_file_info(path).type is fs.FileType.File)

    def _read_header(self, path: str) -> PartHeader:
        try:
            with self._files.open_input_file(path) as source:
                return self._header_of(path, pq.read_schema(source))
        except (OSError, pa.ArrowException) as error:
            raise InvalidSnapshot(f"{path}: {error}") from error

    def _header_of(self, path: str, schema: pa.Schema) -> PartHeader:
        data = (schema.metadata or {}).get(HEADER_KEY)
        if data is None:
            raise InvalidSnapshot(f"{path} is not a part: it has no header")
        return snapshots.decode_part_header(data)

    def _replacing(self, path: str) -> Replacing:
        return Replacing(self._files, path)


def _histories(rows: pa.Table) -> dict[str, bytes]:
    return dict(zip(rows["user_id"].to_pylist(), rows["history"].to_pylist(), strict=True))


def _column(kind: pa.DataType, values: Sequence[bytes]) -> pa.Array:
    """Return a column of bytes; `pa.array` would load pandas, which takes 0.8 s."""
    ends = np.zeros(len(values) + 1, np.int32)
    np.cumsum([len(value) for value in values], out=ends[1:])
    data = [None, pa.py_buffer(ends), pa.py_buffer(b"".join(values))]
    return pa.Array.from_buffers(kind, len(values), data)


def _part_name(partition: int) -> str:
    return f"part-{partition:02d}.parquet"


def _chunks(rows: Iterable[tuple[str, bytes]]) -> Iterator[list[tuple[str, bytes]]]:
    source = iter(rows)
    while chunk := list(islice(source, _ROWS)):
        yield chunk


def _cut(header: PartHeader) -> int:
    return header.cut
