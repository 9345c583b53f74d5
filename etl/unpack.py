"""Unpack an archive so that only verified members ever get their names, and a kill costs one member a core.

Each member is written to ``NAME.part``, counted, hashed, flushed to the disk and only then renamed; the
journal notes it after that. What a member declares (size, CRC-32, its line in the archive's own
``checksums``) is what its bytes must be; one that is not is refused, named and counted, and the others are
unpacked.
"""

import hashlib
import os
import re
import threading
import zlib
from collections import deque
from collections.abc import Generator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from etl.archives import Archive
from etl.disk import need_room, writing
from etl.progress import meter
from etl.unpack_journal import Journal
from etl.zip_contents import Refused, contents
from etl.zip_index import Member, read_index
from schemas.errors import InvalidInput

_CHECKSUMS = "checksums"
_LISTED = re.compile(r"([0-9a-f]{40})  (\S+)", re.ASCII)
_BYTES_PER_LINE = 256


@dataclass(slots=True)
class Unpacked:
    """What became of an archive's members.

    Attributes
    ----------
    members : how many it has
    written : unpacked now
    already_there : unpacked by an earlier run
    left_out : expected, but never written
    refused : name of the member to reason (``kind: details``); also what ``checksums`` lists and is not there
    """

    members: int
    written: int = 0
    already_there: int = 0
    left_out: int = 0
    refused: dict[str, str] = field(default_factory=dict)


def unpack(
    path: Path, archive: Archive, folder: Path, journal: Journal, workers: int | None = None
) -> Unpacked:
    """Unpack what is not there yet into ``folder``; members' names begin with the archive's own folder.

    Threads share the work, one per core: decompression and hashing release the interpreter.

    Raises
    ------
    InvalidInput
        The archive is not one that FMA made (`etl.zip_index.read_index`); nothing was written.
    MissingRequirement
        The disk has no room; what was unpacked stays.
    """
    members = read_index(path, archive)
    wanted = [member for member in members if member.name.partition("/")[2] not in archive.skipped]
    missing = [member for member in wanted if not journal.has(member)]
    result = Unpacked(
        members=len(members),
        already_there=len(wanted) - len(missing),
        left_out=len(members) - len(wanted),
    )
    need_room(folder, sum(member.size for member in missing), f"unpacking {archive.file}")
    # the list first, for the others are held against it
    missing.sort(key=lambda member: not member.name.endswith(f"/{_CHECKSUMS}"))
    total = sum(member.size for member in wanted)
    with path.open("rb") as file, meter(archive.folder, total, in_bytes=True) as progress:
        progress.stand_at(total - sum(member.size for member in missing))
        writer = _Writer(file.fileno(), archive, folder)
        with closing(writer.all(missing, workers or os.cpu_count() or 1)) as outcomes:
            for member, reason in outcomes:
                progress.advance(member.size)
                if reason is None:
                    journal.add(member)
                    result.written += 1
                else:
                    result.refused[member.name] = reason
    names = {member.name for member in members}
    absent = [name for name in writer.listed if name not in names]
    result.refused |= dict.fromkeys(absent, "missing: listed in checksums, but not in the archive")
    if not result.refused:
        journal.finish()
    return result


class _Writer:
    """Writes members of one open archive into a folder."""

    def __init__(self, file: int, archive: Archive, folder: Path) -> None:
        self.listed: dict[str, str] = {}
        self._file, self._archive, self._folder = file, archive, folder
        self._stop = threading.Event()
        self._load_list()

    def all(self, members: list[Member], workers: int) -> Generator[tuple[Member, str | None], None, None]:
        """Write members; yield each with the reason why it was refused, in order."""
        first = members[:1] if members and members[0].name.endswith(f"/{_CHECKSUMS}") else []
        for member in first:
            self.listed = {}
            reason = self._try(member)
            if reason is None:
                self._load_list()
            yield member, reason
        with ThreadPoolExecutor(workers) as pool:
            try:
                waiting: deque[tuple[Member, Future[str | None]]] = deque()
                for member in members[len(first) :]:
                    waiting.append((member, pool.submit(self._try, member)))
                    if len(waiting) > 4 * workers:
                        done, future = waiting.popleft()
                        yield done, future.result()
                for done, future in waiting:
                    yield done, future.result()
            except BaseException:
                self._stop.set()
                pool.shutdown(wait=False, cancel_futures=True)
                raise

    def _try(self, member: Member) -> str | None:
        target = self._folder / member.name
        part = target.with_name(f"{target.name}.part")
        try:
            with writing(part):
                part.parent.mkdir(parents=True, exist_ok=True)
                out = part.open("wb", buffering=0)
            with out:
                self._copy(member, part, out.fileno())
                with writing(part):
                    os.fsync(out.fileno())
        except Refused as refused:
            part.unlink(missing_ok=True)
            return str(refused)
        with writing(target):
            part.replace(target)
        return None

    def _copy(self, member: Member, part: Path, out: int) -> None:
        sha1, crc, size = hashlib.sha1(usedforsecurity=False), 0, 0
        for data in contents(self._file, member):
            if self._stop.is_set():
                raise Refused("interrupted: another member could not be written")
            size += len(data)
            if size > member.size:
                raise Refused(f"larger than declared: more than {member.size:,} bytes")
            sha1.update(data)
            crc = zlib.crc32(data, crc)
            left = memoryview(data)
            with writing(part):
                while left:
                    left = left[os.write(out, left) :]
        if size < member.size:
            raise Refused(f"smaller than declared: {size:,} of {member.size:,} bytes")
        if crc != member.crc:
            raise Refused(f"damaged: CRC-32 {crc:08x}, declared {member.crc:08x}")
        listed = self.listed.get(member.name)
        if listed is not None and sha1.hexdigest() != listed:
            raise Refused(f"not the listed file: SHA-1 {sha1.hexdigest()}, checksums says {listed}")

    def _load_list(self) -> None:
        """Read the archive's own ``checksums``, once it is unpacked."""
        path = self._folder / self._archive.folder / _CHECKSUMS
        most = _BYTES_PER_LINE * self._archive.limits.members
        if not path.is_file():
            return
        if path.stat().st_size > most:
            raise InvalidInput(f"{path} has more than {most:,} bytes: it is no list of checksums of FMA.")
        lines = path.read_text("utf-8", "replace").splitlines()
        self.listed = {
            f"{self._archive.folder}/{match[2]}": match[1]
            for match in map(_LISTED.fullmatch, lines)
            if match is not None
        }
