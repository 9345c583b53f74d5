"""`segue etl report`: one page about the catalogue that is in the database."""

import os
import time
from dataclasses import dataclass
from pathlib import Path

from connections.documents import Database, answered
from etl import counting, report_counts
from etl.progress import Meter, meter
from etl.report_page import Content, render
from etl.report_sample import read_sample
from etl.status import count_genres
from schemas.documents import TRACKS
from schemas.errors import InvalidInput

_STEPS = 8


@dataclass
class ReportFile:
    """Where the page is, and what it is about; ``sampled`` tracks are on the map and in the distributions."""

    path: str
    bytes: int
    tracks: int
    features: int
    sampled: int
    version: str | None
    seconds: float


def default_path(data_dir: Path) -> Path:
    """Return where the page lies unless another file is named."""
    return data_dir / "reports" / "catalogue.html"


async def run(database: Database, path: Path) -> ReportFile:
    """Write the page; a reader of ``path`` sees the old one or the new one.

    Raises
    ------
    InvalidInput
        There are no tracks, or the file cannot be written.
    """
    started = time.monotonic()
    with meter("report", _STEPS) as progress:
        content = await read_content(database, progress)
        page = render(content, progress).encode()
    _write(path, page)
    return ReportFile(
        path=str(path.resolve()),
        bytes=len(page),
        tracks=content.counts.tracks,
        features=sum(group.count for group in content.groups),
        sampled=len(content.sample.vectors) if content.sample else 0,
        version=content.state["version"] if content.state else None,
        seconds=round(time.monotonic() - started, 2),
    )


async def read_content(database: Database, progress: Meter) -> Content:
    """Count and sample the documents.

    Raises
    ------
    InvalidInput
        There are no tracks.
    """
    counts = await counting.count_tracks(database)
    if not counts.tracks:
        raise InvalidInput(
            f"database {database.name} has no tracks to report on: load some with `segue etl demo`, "
            "`segue etl run` or `segue data add`"
        )
    progress.advance()
    groups = await counting.feature_groups(database)
    progress.advance()
    tree = await report_counts.genre_tree(database)
    genres = await report_counts.genre_counts(database, tree)
    progress.advance()
    pairs = await report_counts.pairing(database)
    progress.advance()
    sample = await read_sample(database, tree)
    progress.advance()
    state = await counting.catalogue_state(database)
    return Content(
        source=state["source"] if state else await _source(database),
        state=state,
        counts=counts,
        groups=groups,
        genres=genres,
        distinct_genres=await count_genres(database),
        lengths=await report_counts.lengths(database),
        licences=await report_counts.licence_counts(database),
        rejections=await counting.rejected_kinds(database),
        scalers=await counting.scalers(database),
        run=await counting.newest_run(database),
        gaps=report_counts.gaps(counts, pairs, groups, sample.version if sample else None),
        sample=sample,
    )


async def _source(database: Database) -> str:
    """Return the source that stands at the tracks, for a catalogue whose first load is not complete."""
    found = await answered(database[TRACKS.name].find_one({}, {"source": 1}), "reading the catalogue")
    return str(found["source"]) if found else ""


def _write(path: Path, page: bytes) -> None:
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            unfinished.write_bytes(page)
            unfinished.replace(path)
        finally:
            unfinished.unlink(missing_ok=True)
    except OSError as error:
        raise InvalidInput(f"the report cannot be written to {path}: {error.strerror}") from error
