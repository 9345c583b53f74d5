"""The index of a zip archive, checked before anything is written: names, kinds, sizes, places.

`zipfile` reads the central directory; nothing else of it is used, because it decompresses bzip2 (which FMA
uses) without a bound on memory, trusts declared sizes, and does not notice entries that overlap. Whatever is
wrong here condemns the whole archive: FMA made none like that. Sources: APPNOTE.TXT 6.3.10 of PKWARE;
Fifield, A better zip bomb, WOOT 2019 (overlapping entries).
"""

import os
import re
import stat
import struct
import zipfile
from dataclasses import dataclass
from pathlib import Path

from etl.archives import Archive
from etl.sizes import size_text
from schemas.errors import InvalidInput

_LOCAL = struct.Struct("<4s5H3I2H")
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2)
# encrypted, patched, strongly encrypted, masked header
_SECRET = 0x0001 | 0x0020 | 0x0040 | 0x2000
_DOS_FOLDER = 0x10
_BYTES_PER_ENTRY = 256
_DRIVE = re.compile(r"[A-Za-z]:")


@dataclass(frozen=True, slots=True)
class Member:
    """One file in an archive: where its packed bytes lie, and what it declares to be."""

    name: str
    method: int
    offset: int
    packed: int
    size: int
    crc: int


class _Directory:
    """A file whose reads are bounded: an archive cannot make `zipfile` read it whole into memory."""

    def __init__(self, path: Path, most: int) -> None:
        self._file = path.open("rb")
        self._most = most
        self.seek, self.tell, self.close = self._file.seek, self._file.tell, self._file.close
        self.fileno = self._file.fileno

    def read(self, size: int = -1) -> bytes:
        if size > self._most:
            raise zipfile.BadZipFile(f"its directory claims {size:,} bytes")
        return self._file.read(self._most if size < 0 else size)


def read_index(path: Path, archive: Archive) -> list[Member]:
    """Return the members of an archive in the order of their places.

    Raises
    ------
    InvalidInput
        It is not a zip archive, or one that FMA did not make; the message names the member and the reason.
    """
    try:
        directory = _Directory(path, 128 * 1024 + _BYTES_PER_ENTRY * archive.limits.members)
    except OSError as error:
        raise InvalidInput(f"{path} cannot be read: {error.strerror}.") from error
    try:
        with zipfile.ZipFile(directory) as zipped:
            infos = sorted(zipped.infolist(), key=lambda info: info.header_offset)
            _check_entries(path, archive, infos, os.fstat(directory.fileno()).st_size)
            return _places(path, directory.fileno(), infos, zipped.start_dir)
    except (
        zipfile.BadZipFile,
        NotImplementedError,
        ValueError,
        OverflowError,
        OSError,
        struct.error,
    ) as error:
        raise InvalidInput(f"{path} is not a zip archive that can be read: {error}.") from error
    finally:
        directory.close()


def why_not(archive: Archive, name: str) -> str | None:
    """Return why a member may not have this name; None if it may."""
    if not name:
        return "has no name"
    if any(ord(letter) < 32 or ord(letter) == 127 for letter in name):
        return "has control characters in its name"
    if "\\" in name:
        return "has a backslash in its name"
    if name.startswith("/"):
        return "has an absolute name"
    if _DRIVE.match(name):
        return "has a drive letter in its name"
    if ".." in name.split("/"):
        return "climbs out of its folder"
    if not archive.allows(name):
        return f"is none that {archive.file} may have"
    return None


def _check_entries(path: Path, archive: Archive, infos: list[zipfile.ZipInfo], length: int) -> None:
    limits = archive.limits
    if len(infos) > limits.members:
        raise InvalidInput(f"{path} has {len(infos):,} members, more than {limits.members:,}.")
    seen: set[str] = set()
    for info in infos:
        name = info.orig_filename
        reason = why_not(archive, name) or _why_not_kind(info) or _why_not_size(archive, info)
        if reason is None and name in seen:
            reason = "is there twice"
        if reason is not None:
            raise InvalidInput(f"{path}: member {name!r} {reason}. Nothing was unpacked.")
        seen.add(name)
    total = sum(info.file_size for info in infos)
    if total > min(limits.total_bytes, limits.ratio * length + limits.ratio_from):
        raise InvalidInput(
            f"{path} has {size_text(length)} and would unpack to {size_text(total)}: too much to be FMA's. "
            "Nothing was unpacked."
        )


def _why_not_kind(info: zipfile.ZipInfo) -> str | None:
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind == stat.S_IFLNK:
        return "is a link"
    if kind not in (0, stat.S_IFREG) or info.external_attr & _DOS_FOLDER:
        return "is not an ordinary file"
    if info.flag_bits & _SECRET:
        return "is encrypted"
    if info.compress_type not in _METHODS:
        return f"is packed by method {info.compress_type}, neither stored, deflated nor bzip2"
    return None


def _why_not_size(archive: Archive, info: zipfile.ZipInfo) -> str | None:
    limits = archive.limits
    if info.file_size > limits.member_bytes:
        return f"would have {size_text(info.file_size)}, more than {size_text(limits.member_bytes)}"
    if info.compress_type == zipfile.ZIP_STORED and info.compress_size != info.file_size:
        return "is stored, but its packed size is another one"
    if info.file_size > limits.ratio_from and info.file_size > limits.ratio * info.compress_size:
        return (
            f"would grow from {size_text(info.compress_size)} to {size_text(info.file_size)}, "
            f"more than {limits.ratio:g} to 1"
        )
    return None


def _places(path: Path, file: int, infos: list[zipfile.ZipInfo], end: int) -> list[Member]:
    """Return where each member's bytes lie, after its local header was compared with the directory."""
    members = []
    ends = [*(info.header_offset for info in infos[1:]), end]
    for info, following in zip(infos, ends, strict=True):
        name = info.orig_filename.encode()
        header = os.pread(file, _LOCAL.size + len(name), info.header_offset)
        if len(header) < _LOCAL.size:
            raise InvalidInput(f"{path}: member {info.filename!r} lies beyond the end. Nothing was unpacked.")
        magic, _, flags, method, _, _, _, _, _, name_length, extra_length = _LOCAL.unpack_from(header)
        offset = info.header_offset + _LOCAL.size + name_length + extra_length
        if (
            magic != b"PK\x03\x04"
            or (flags, method) != (info.flag_bits, info.compress_type)
            or name_length != len(name)
            or header[_LOCAL.size :] != name
        ):
            raise InvalidInput(
                f"{path}: member {info.filename!r} is another one in its own header than in the directory. "
                "Nothing was unpacked."
            )
        if offset + info.compress_size > following:
            raise InvalidInput(
                f"{path}: member {info.filename!r} overlaps another one. Nothing was unpacked."
            )
        members.append(
            Member(info.filename, info.compress_type, offset, info.compress_size, info.file_size, info.CRC)
        )
    return members
