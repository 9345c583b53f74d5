"""`segue data get`: bring an archive of FMA in, verify it, unpack it. Killed anywhere, the next run goes on.

In ``<data folder>/fma`` lie, for ``fma_small``: ``fma_small/`` (what was unpacked), ``fma_small.zip`` while
it is needed, ``fma_small.zip.part`` and ``.part.json`` while it comes, ``fma_small.zip.verified`` (the hash
was right for a file of this size and time), ``fma_small.unpacked`` (the journal) and ``fma_small.lock``.
"""

import asyncio
import fcntl
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from etl.archives import Archive
from etl.disk import need_room, writing
from etl.download import download
from etl.patience import Patience
from etl.sizes import size_text
from etl.unpack import Unpacked, unpack
from etl.unpack_journal import Journal
from etl.verified import check_sha1, remember, remove, verify_own
from schemas.errors import InvalidInput

_NAMED = 5


@dataclass(frozen=True, slots=True)
class GetReport:
    """What a run has brought.

    Attributes
    ----------
    archive, sha1 : which
    folder : where its members are
    file : the archive itself, if it is still there
    downloaded_bytes : that came over the network in this run
    members, written, already_there, left_out : as in `etl.unpack.Unpacked`
    refused : members that were refused, by kind of reason
    seconds : of this run
    """

    archive: str
    sha1: str
    folder: str
    file: str | None
    downloaded_bytes: int
    members: int
    written: int
    already_there: int
    left_out: int
    refused: dict[str, int]
    seconds: float


@dataclass(frozen=True, slots=True)
class Request:
    """What to get.

    Attributes
    ----------
    archive : which
    base_url : folder on the server
    folder : where to, made when it is not there
    source : an archive that the user has already; it is verified and read where it is, and stays
    keep : whether the downloaded archive stays after it is unpacked
    """

    archive: Archive
    base_url: str
    folder: Path
    source: Path | None = None
    keep: bool = False


def run(request: Request, patience: Patience | None = None) -> tuple[GetReport, str | None]:
    """Get one archive; return the report, and a sentence if members were refused.

    Raises
    ------
    InvalidInput
        It is not the official archive, cannot be unpacked safely, or another process is fetching it.
    MissingRequirement
        The disk has no room.
    Unavailable
        The server did not give it; what came is kept.
    """
    archive, began = request.archive, time.monotonic()
    with writing(request.folder):
        request.folder.mkdir(parents=True, exist_ok=True)
    target = request.folder / archive.file
    with (
        _only_one(request.folder / f"{archive.folder}.lock", archive),
        Journal(request.folder / f"{archive.folder}.unpacked", archive.sha1, request.folder) as journal,
    ):
        received = 0
        if journal.all_there():
            unpacked = Unpacked(members=len(journal), already_there=len(journal))
        else:
            _announce(request)
            received = _bring_in(request, target, journal.bytes_there, patience or Patience())
            source = request.source or target
            unpacked = unpack(source, archive, request.folder, journal)
            if not (request.keep or request.source or unpacked.refused):
                remove(target)
    return (
        GetReport(
            archive=archive.name,
            sha1=archive.sha1,
            folder=str(request.folder / archive.folder),
            file=str(target) if target.exists() else None,
            downloaded_bytes=received,
            members=unpacked.members,
            written=unpacked.written,
            already_there=unpacked.already_there,
            left_out=unpacked.left_out,
            refused=dict(Counter(reason.partition(":")[0] for reason in unpacked.refused.values())),
            seconds=round(time.monotonic() - began, 3),
        ),
        _refusals(request.source or target, unpacked),
    )


def _bring_in(request: Request, target: Path, unpacked: int, patience: Patience) -> int:
    """Have a verified archive, from the network if need be; return the bytes that came over it."""
    archive = request.archive
    to_unpack = max(0, archive.unpacked - unpacked)
    if request.source is not None:
        check_sha1(request.source, archive)
        return 0
    if target.exists():
        verify_own(target, archive)
        return 0
    part = target.with_name(f"{target.name}.part")
    held = part.stat().st_size if part.exists() else 0
    need_room(
        request.folder,
        max(0, archive.size - held) + to_unpack,
        f"{archive.file} ({size_text(archive.size)}, of which {size_text(held)} is there) and its contents "
        f"({size_text(to_unpack)} more)",
    )
    received = asyncio.run(download(archive, request.base_url, target, patience))
    remember(target, archive)
    return received


def _announce(request: Request) -> None:
    """Say on stderr what comes, from where, how large it is, and under what licence."""
    archive = request.archive
    about = "" if archive.size_is_exact else "about "
    source = request.source or f"{request.base_url.rstrip('/')}/{archive.file}"
    clips = f", {archive.clips:,} clips" if archive.clips else ""
    for line in (
        f"{archive.file} of FMA{clips}",
        f"  from     {source}",
        f"  size     {about}{size_text(archive.size)}, unpacked about {size_text(archive.unpacked)}",
        f"  to       {(request.folder / archive.folder).resolve()}",
        f"  SHA-1    {archive.sha1}",
        f"  licence  {archive.licence}",
    ):
        print(line, file=sys.stderr, flush=True)


@contextmanager
def _only_one(path: Path, archive: Archive) -> Iterator[None]:
    """Hold a lock that ends with the process, however it ends."""
    with writing(path):
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.pread(file, 20, 0).decode("ascii", "replace").strip() or "unknown"
            raise InvalidInput(
                f"Another `segue data get {archive.name}` is at work in {path.parent} (process {holder}): "
                "wait for it, or stop it."
            ) from error
        os.ftruncate(file, 0)
        os.pwrite(file, str(os.getpid()).encode(), 0)
        yield
    finally:
        os.close(file)


def _refusals(path: Path, unpacked: Unpacked) -> str | None:
    if not unpacked.refused:
        return None
    named = "; ".join(f"{name} ({reason})" for name, reason in list(unpacked.refused.items())[:_NAMED])
    more = len(unpacked.refused) - _NAMED
    return (
        f"{path}: {len(unpacked.refused):,} of {unpacked.members:,} members were refused, the others are "
        f"unpacked: {named}{f'; and {more:,} more' if more > 0 else ''}."
    )
