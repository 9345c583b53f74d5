"""Whether a file is the archive: its SHA-1, and a note that saves hashing 93 GiB twice."""

import hashlib
from pathlib import Path

import msgspec

from etl.archives import Archive
from etl.disk import writing
from etl.progress import meter
from etl.sizes import MIB
from schemas.errors import InvalidInput

_BLOCK = 4 * MIB


class _Verified(msgspec.Struct, frozen=True):
    """A file whose hash was right: it need not be hashed again while these stay what they are."""

    sha1: str
    size: int
    modified_ns: int


def check_sha1(path: Path, archive: Archive) -> None:
    """Return when a file is the archive.

    Raises
    ------
    InvalidInput
        It cannot be read, or its SHA-1 is another one.
    """
    sha1 = hashlib.sha1(usedforsecurity=False)
    try:
        size = path.stat().st_size
        with path.open("rb") as file, meter(f"SHA-1 of {path.name}", size, in_bytes=True) as seen:
            while block := file.read(_BLOCK):
                sha1.update(block)
                seen.advance(len(block))
    except OSError as error:
        raise InvalidInput(f"{path} cannot be read: {error.strerror}.") from error
    if sha1.hexdigest() != archive.sha1:
        raise InvalidInput(
            f"{path} has SHA-1 {sha1.hexdigest()}, but {archive.file} of FMA has {archive.sha1}: it is "
            "damaged or another file."
        )


def verify_own(target: Path, archive: Archive) -> None:
    """Return when the archive in our own folder is right; hash it only if it has changed since.

    Raises
    ------
    InvalidInput
        It is not right; it was deleted.
    """
    if _is_verified(target, archive):
        return
    try:
        check_sha1(target, archive)
    except InvalidInput as error:
        remove(target)
        raise InvalidInput(f"{error} It was deleted: repeat the command.") from error
    remember(target, archive)


def remember(target: Path, archive: Archive) -> None:
    """Note that a file is right as it is now."""
    found = target.stat()
    with writing(_note(target)):
        _note(target).write_bytes(
            msgspec.json.encode(_Verified(archive.sha1, found.st_size, found.st_mtime_ns))
        )


def remove(target: Path) -> None:
    """Delete a file and its note."""
    with writing(target):
        target.unlink(missing_ok=True)
        _note(target).unlink(missing_ok=True)


def _is_verified(target: Path, archive: Archive) -> bool:
    try:
        known = msgspec.json.decode(_note(target).read_bytes(), type=_Verified)
    except (FileNotFoundError, msgspec.DecodeError):
        return False
    found = target.stat()
    return known == _Verified(archive.sha1, found.st_size, found.st_mtime_ns)


def _note(target: Path) -> Path:
    return target.with_name(f"{target.name}.verified")
