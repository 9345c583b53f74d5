"""Files that appear whole or not at all, in any file system that pyarrow opens."""

import os
import uuid

import pyarrow as pa
from pyarrow import fs


class Replacing:
    """A file that appears under its name only when it is whole and synced."""

    def __init__(self, files: fs.FileSystem, path: str) -> None:
        self._files = files
        self._path = path
        self._temporary = f"{path}.{uuid.uuid4().hex}.tmp"

    def __enter__(self) -> pa.NativeFile:
        self._files.create_dir(self._path.rpartition("/")[0], recursive=True)
        self._sink = self._files.open_output_stream(self._temporary)
        return self._sink

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._sink.close()
        if kind is not None:
            self._files.delete_file(self._temporary)
            return
        if isinstance(self._files, fs.LocalFileSystem):
            _sync(self._temporary)
        self._files.move(self._temporary, self._path)
        if isinstance(self._files, fs.LocalFileSystem):
            _sync(self._path.rpartition("/")[0])


def _sync(path: str) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
