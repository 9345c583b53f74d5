"""FMA: `tracks.csv` and clips become track and feature documents."""

import time
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from connections.documents import Database, ensure_indexes
from etl import load
from etl.fma_clips import find_clips, with_rows
from etl.genres import GenreTree, find_genres_file, read_genres, write_genres
from etl.known_clips import defects_of, explained, is_known
from etl.not_found import NotFound, read_not_found
from etl.precomputed import load_precomputed
from etl.precomputed_table import find_features_file
from etl.progress import meter
from etl.quality import Quality, store_report
from etl.row_writer import BATCH, RowWriter
from etl.rows import SOURCE, Described
from etl.sound import Engine, heard_tracks, load_sound
from etl.tracks import Rejected, find_tracks_file, read_tracks


@dataclass
class FmaReport:
    """Summary of a run; every row and every file is counted once.

    Attributes
    ----------
    changed, changed_details, changed_genres : documents that are new or differ
    rejected_rows, rejected_files : by kind of reason; without the clips that FMA itself has broken
    known_bad_clips : those, by kind of reason
    precomputed : what became of FMA's table of features; None: not asked for
    quality : what was found in the tables
    """

    rows: int = 0
    tracks: int = 0
    changed: int = 0
    changed_details: int = 0
    changed_genres: int = 0
    rejected_rows: dict[str, int] = field(default_factory=dict)
    files: int = 0
    kept: int = 0
    extracted: int = 0
    rejected_files: dict[str, int] = field(default_factory=dict)
    known_bad_clips: dict[str, int] = field(default_factory=dict)
    precomputed: dict[str, Any] | None = None
    catalogue_version: str = ""
    catalogue_tracks: int = 0
    seconds: float = 0.0
    quality: dict[str, Any] = field(default_factory=dict)

    def refusals(self) -> str | None:
        """Return one sentence about what was refused, or None; what FMA itself has broken does not count."""
        features = self.precomputed["rejected"] if self.precomputed else {}
        counted = (
            ("row", self.rejected_rows),
            ("row of features", features),
            ("file", self.rejected_files),
        )
        told = [f"{sum(kinds.values())} x {what} ({_listed(kinds)})" for what, kinds in counted if kinds]
        return f"{' and '.join(told)} refused; all else is loaded" if told else None


def _listed(kinds: Mapping[str, int]) -> str:
    return ", ".join(f"{kind}: {count}" for kind, count in kinds.items())


async def run(
    database: Database,
    metadata: Path,
    audio: Path | None,
    *,
    clips_only: bool = False,
    processes: int | None = None,
    precomputed: bool = False,
    engine: Engine | None = None,
    retry_rejected: bool = False,
) -> FmaReport:
    """Load FMA's metadata and, when ``audio`` is given, the sound of the clips below it.

    Parameters
    ----------
    metadata : folder with `tracks.csv` or `tracks.csv.gz` and `genres.csv`, or the tracks file; raw tables
        and `not_found.json` are used when they lie there
    audio : folder with `000/000002.mp3` or `000002.mp3`
    clips_only : load only tracks that have a clip
    processes : that decode audio; by default one per core
    precomputed : take features from FMA's `features.csv`; clips then give only peaks and length
    engine : what extracts features; by default processes on this machine
    retry_rejected : read clips again that were refused and have not changed

    Raises
    ------
    InvalidInput
        A folder, file or column is missing, or the database holds another catalogue.
    """
    started = time.monotonic()
    tracks_file = find_tracks_file(metadata)
    folder = tracks_file.parent
    tree = read_genres(find_genres_file(folder))
    not_found = read_not_found(folder)
    if precomputed:
        find_features_file(folder)  # before anything is written
    clips, refused = find_clips(audio) if audio is not None else ({}, {})
    await load.claim(database, SOURCE)
    await ensure_indexes(database)
    heard = await heard_tracks(database, analyse=not precomputed)
    report = FmaReport(files=len(clips) + len(refused))
    report.changed_genres = await write_genres(database, tree)
    rows = _Rows(database, tree, not_found, report)
    await rows.load(tracks_file, clips.keys() if clips_only else None)
    reasons = rows.reasons
    if precomputed:
        table = await load_precomputed(database, folder, rows.loaded)
        report.precomputed = {**asdict(table), "rejected": table.reasons}
        reasons |= {f"{key}-features": reason for key, reason in table.rejected.items()}
    if audio is not None:
        files, orphans = with_rows(clips, rows.durations)
        refused |= orphans
        sound = await load_sound(
            database,
            files,
            heard,
            processes=processes,
            engine=engine,
            analyse=not precomputed,
            retry_rejected=retry_rejected,
        )
        refused |= {key: explained(key, reason) for key, reason in sound.rejected.items()}
        report.kept, report.extracted = sound.kept, sound.extracted
        _count_refused(report, refused)
        reasons |= refused
    await load.write_rejected(database, SOURCE, reasons, complete=audio is not None)
    state = await load.publish_catalogue(database, SOURCE)
    report.catalogue_version, report.catalogue_tracks = state["version"], state["tracks"]
    report.seconds = round(time.monotonic() - started, 2)
    await store_report(database, "etl run", SOURCE, report.seconds, asdict(report))
    return report


class _Rows:
    """Reads the rows and writes them.

    Attributes
    ----------
    durations : length in milliseconds of each track that has a usable row
    loaded : ids that are in the catalogue
    reasons : against rows, by key
    """

    def __init__(self, database: Database, tree: GenreTree, not_found: NotFound, report: FmaReport) -> None:
        self._database = database
        self._tree = tree
        self._not_found = not_found
        self._report = report
        self.durations: dict[int, int | None] = {}
        self.loaded: set[int] = set()
        self.reasons: dict[str, str] = {}

    async def load(self, tracks_file: Path, wanted: Collection[int] | None) -> None:
        """Load a tracks file; ``wanted``: only these ids, None: all."""
        quality = Quality()
        kinds: Counter[str] = Counter()
        writer = RowWriter(self._database)
        await writer.open()
        batch: list[Described] = []
        try:
            with meter("tracks", None) as progress:
                for found in read_tracks(tracks_file, self._tree, quality):
                    if isinstance(found, Rejected):
                        kinds[found.reason.split(":")[0]] += 1
                        # a refused duplicate must not speak against the row that counts
                        self.reasons.setdefault(self._key(found), found.reason)
                    elif self._takes(found, wanted):
                        batch.append(found)
                    if len(batch) >= BATCH:
                        await writer.write(batch)
                        batch = []
                        progress.advance(BATCH)
                await writer.write(batch)
                await writer.close()
        finally:
            await writer.abandon()
        report = self._report
        report.rows = len(self.durations) + kinds.total()
        report.tracks = len(self.loaded)
        report.changed, report.changed_details = writer.changed, writer.changed_details
        report.rejected_rows = dict(kinds.most_common())
        report.quality = {
            **quality.report(),
            "genres": self._tree.report(),
            "not_found_but_there": dict(self._not_found.rows),
            "known_bad_clips": defects_of(self.loaded),
        }

    def _takes(self, found: Described, wanted: Collection[int] | None) -> bool:
        track_id = found.track["_id"]
        self.durations[track_id] = found.track["track_ms"]
        if wanted is not None and track_id not in wanted:
            return False
        self.loaded.add(track_id)
        self._not_found.count(found)
        return True

    def _key(self, rejected: Rejected) -> str:
        taken = rejected.key.isdigit() and int(rejected.key) in self.durations
        return f"{rejected.key}-again" if taken else rejected.key


def _count_refused(report: FmaReport, refused: Mapping[str, str]) -> None:
    for known, target in ((False, "rejected_files"), (True, "known_bad_clips")):
        kinds = Counter(reason.split(":")[0] for reason in refused.values() if is_known(reason) == known)
        setattr(report, target, dict(kinds.most_common()))
