"""What has been downloaded of one file so far: ``NAME.part``, and beside it of which version of the file.

The bytes of ``NAME.part`` are always a beginning of one version of the file on the server. That version is
written to ``NAME.part.json`` before its first byte, so that a download never continues with another version.
"""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

import msgspec

from etl.disk import writing
from etl.sizes import MIB
from schemas.errors import InvalidInput

_BLOCK = 4 * MIB


class Version(msgspec.Struct, frozen=True):
    """One version of a file on a server: its address, its validators, its bytes (None: not told)."""

    url: str
    etag: str | None
    modified: str | None
    length: int | None

    def same_as(self, other: "Version") -> bool:
        """Return whether nothing says that the two differ."""
        return (
            self.url == other.url
            and self.length == other.length
            and self.etag == other.etag
            and (self.etag is not None or self.modified == other.modified)
        )

    @property
    def strong_etag(self) -> str | None:
        """The entity tag, where it promises equal bytes."""
        return self.etag if self.etag and not self.etag.startswith("W/") else None


class PartFile:
    """A file that grows at its end, with the SHA-1 of what it holds. Close it; it is a context manager."""

    def __init__(self, target: Path) -> None:
        self.target = target
        self.path = target.with_name(f"{target.name}.part")
        self._note = target.with_name(f"{target.name}.part.json")
        self.version: Version | None = None
        self.length = 0
        self.most = 0
        """Most bytes that were ever held, for what counts as progress."""
        self._sha1 = hashlib.sha1(usedforsecurity=False)
        with writing(self.path):
            self._file = self.path.open("ab", buffering=0)

    def __enter__(self) -> "PartFile":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    @property
    def bytes_on_disk(self) -> int:
        """Bytes in the file, whatever they are of."""
        return self.path.stat().st_size

    def resume(self, url: str, advance: Callable[[int], None]) -> None:
        """Take up what an earlier run has left, if it is of the same address, and hash it."""
        try:
            version = msgspec.json.decode(self._note.read_bytes(), type=Version)
        except (FileNotFoundError, msgspec.DecodeError):
            version = None
        held = self.bytes_on_disk
        if version is None or version.url != url or (version.length is not None and held > version.length):
            self.start_over(None)
            return
        with self.path.open("rb") as file:
            while block := file.read(_BLOCK):
                self._sha1.update(block)
                self.length += len(block)
                advance(len(block))
        self.version, self.most = version, self.length

    def start_over(self, version: Version | None) -> None:
        """Drop what is held; what follows is of ``version``."""
        with writing(self.path):
            self._file.truncate(0)
            if version is None:
                self._note.unlink(missing_ok=True)
            else:
                new = self._note.with_name(f"{self._note.name}.new")
                new.write_bytes(msgspec.json.encode(version))
                new.replace(self._note)
        self.version, self.length = version, 0
        self._sha1 = hashlib.sha1(usedforsecurity=False)

    def append(self, data: bytes) -> None:
        """Put bytes at the end.

        Raises
        ------
        MissingRequirement
            The disk is full. What was written stays and is of use.
        """
        left = memoryview(data)
        with writing(self.path):
            while left:
                left = left[self._file.write(left) :]
        self._sha1.update(data)
        self.length += len(data)
        self.most = max(self.most, self.length)

    def finish(self, sha1: str) -> None:
        """Give the file its name if its hash is right, else delete it.

        Raises
        ------
        InvalidInput
            The SHA-1 is another one.
        """
        found = self._sha1.hexdigest()
        if found != sha1:
            length = self.length
            self.discard()
            raise InvalidInput(
                f"{self.target.name} came with {length:,} bytes of SHA-1 {found}, but must have {sha1}: it "
                "was deleted. Repeat the command; if that does not help, set SEGUE_FMA_URL to another server."
            )
        with writing(self.target):
            os.fsync(self._file.fileno())
            self.path.replace(self.target)
            self._note.unlink(missing_ok=True)

    def discard(self) -> None:
        """Delete what is held."""
        self.start_over(None)
        self.path.unlink(missing_ok=True)
