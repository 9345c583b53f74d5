"""Own music: the audio files below a folder become tracks, which keep their ids when files change or move."""

import asyncio
import os
import time
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from connections.documents import Database, ensure_indexes
from etl import load
from etl.own_files import Content, Scan, is_below, read_content, scan_folder
from etl.own_identity import SOURCE, How
from etl.own_loading import Loading
from etl.own_matching import match
from etl.own_records import Memory, read_memory
from etl.progress import meter
from etl.quality import store_report
from schemas.errors import InvalidInput

_EXAMPLES = 5
_READ_AT_ONCE = 8  # hashing goes beside waiting for a slow disk


@dataclass
class OwnReport:
    """Summary of a run. Each file is counted once: ``files`` is the sum of the counts up to ``rejected``.

    Attributes
    ----------
    files : audio files below the folder, and what could not be looked at
    retagged : other bytes, same sound; ``encoded_anew``: other sound, same track
    rejected : by kind of reason; ``examples``: the first of each kind
    removed : tracks whose file is gone since the run before
    without_tags : of the files that were read in this run
    other_files : no audio, left alone
    """

    files: int = 0
    added: int = 0
    kept: int = 0
    moved: int = 0
    retagged: int = 0
    encoded_anew: int = 0
    came_back: int = 0
    rejected: dict[str, int] = field(default_factory=dict)
    examples: dict[str, list[str]] = field(default_factory=dict)
    removed: int = 0
    without_tags: int = 0
    other_files: int = 0
    catalogue_version: str = ""
    catalogue_tracks: int = 0
    seconds: float = 0.0


async def run(
    database: Database, path: Path, *, processes: int | None = None, all_gone: bool = False
) -> OwnReport:
    """Bring the catalogue of own music up to date with the audio files below ``path``.

    Parameters
    ----------
    path : a folder, or one file
    processes : that decode audio; by default one per core
    all_gone : there is no file left on purpose: mark all tracks below ``path``

    Raises
    ------
    InvalidInput
        The path cannot be read, holds no audio file although tracks lie there, or the database holds
        another catalogue.
    """
    started = time.monotonic()
    root = path.expanduser().resolve()
    await load.claim(database, SOURCE)
    await ensure_indexes(database)
    memory = await read_memory(database)
    gone = all_gone and not os.path.lexists(root)
    scan = Scan() if gone else await _scan(root)
    if not scan.files and not all_gone:
        _refuse_emptiness(root, memory)
    contents = await _read(root, scan, memory)
    matched = await match(database, str(root), scan, memory, contents, processes)
    loading = Loading(database, memory, matched)
    await loading.load(processes)
    refused = scan.refused | await loading.settle(str(root), scan)
    state = await load.publish_catalogue(database, SOURCE)
    report = OwnReport(
        files=len({each.path for each in scan.files} | scan.refused.keys()),
        rejected=dict(Counter(reason.split(":")[0] for reason in refused.values()).most_common()),
        examples=_examples(refused),
        removed=loading.removed,
        without_tags=sum(not each.names.tagged for each in contents.values()),
        other_files=scan.others,
        catalogue_version=state["version"],
        catalogue_tracks=state["tracks"],
        seconds=round(time.monotonic() - started, 2),
        came_back=loading.came_back,
        **{how.name.lower(): loading.counts[how] for how in How},
    )
    await store_report(database, "data add", SOURCE, report.seconds, asdict(report))
    return report


def _examples(refused: Mapping[str, str]) -> dict[str, list[str]]:
    """Return the first files of each kind of reason, with what else the reason says."""
    examples: defaultdict[str, list[str]] = defaultdict(list)
    for path, reason in sorted(refused.items()):
        kind, _, details = reason.partition(": ")
        if len(examples[kind]) < _EXAMPLES:
            examples[kind].append(f"{path}: {details}" if details else path)
    return dict(examples)


async def _scan(root: Path) -> Scan:
    scan = Scan()
    with meter("looking for files", None) as progress:
        for entries in scan_folder(root, scan):
            progress.advance(entries)
            await asyncio.sleep(0)  # Ctrl-C
    return scan


def _refuse_emptiness(root: Path, memory: Memory) -> None:
    """Refuse to mark all tracks of a folder: a disk that is not mounted looks like this."""
    lying = sum(is_below(each["path"], str(root)) and not each["gone"] for each in memory.records.values())
    if lying:
        raise InvalidInput(
            f"{root} holds no audio file, but {lying:,} known ones lay there: mount the disk, or say "
            "--all-gone if they are gone for good"
        )


async def _read(root: Path, scan: Scan, memory: Memory) -> dict[str, Content]:
    """Return the content of each file that is new or has changed; what cannot be read is noted."""
    wanted = [each for each in scan.files if not (memory.unchanged(each) or memory.still_refused(each))]
    contents: dict[str, Content] = {}
    with meter("reading", sum(each.bytes for each in wanted), in_bytes=True) as progress:
        for start in range(0, len(wanted), _READ_AT_ONCE):
            batch = wanted[start : start + _READ_AT_ONCE]
            results = await asyncio.gather(
                *(asyncio.to_thread(read_content, Path(each.path), root) for each in batch),
                return_exceptions=True,
            )
            for found, result in zip(batch, results, strict=True):
                if isinstance(result, OSError):
                    scan.miss(found.path, "unreadable file", result)
                elif isinstance(result, BaseException):
                    raise result
                else:
                    contents[found.path] = result
                progress.advance(found.bytes)
    return contents
