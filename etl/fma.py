"""FMA: `tracks.csv` and clips become track and feature documents."""

import time
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from connections.documents import Database, ensure_indexes
from etl import load
from etl.genres import read_genres
from etl.progress import meter
from etl.sound import SoundFile, SoundReport, heard_tracks, load_sound, sound_file
from etl.tracks import SOURCE, Rejected, find_tracks_file, read_tracks
from schemas.documents import Audio, Track
from schemas.errors import InvalidInput

CLIP_S = 30.0
_SUFFIXES = frozenset({".mp3", ".ogg", ".flac", ".wav", ".m4a", ".opus"})


@dataclass
class FmaReport:
    """Summary of a run; every row and every file is counted once."""

    rows: int = 0
    tracks: int = 0
    changed: int = 0
    rejected_rows: dict[str, int] = field(default_factory=dict)
    files: int = 0
    kept: int = 0
    extracted: int = 0
    rejected_files: dict[str, int] = field(default_factory=dict)
    catalogue_version: str = ""
    catalogue_tracks: int = 0
    seconds: float = 0.0


async def run(
    database: Database,
    metadata: Path,
    audio: Path | None,
    *,
    clips_only: bool = False,
    processes: int | None = None,
) -> FmaReport:
    """Load FMA's metadata and, when ``audio`` is given, the sound of the clips below it.

    Parameters
    ----------
    metadata : folder with `tracks.csv` or `tracks.csv.gz` and `genres.csv`, or the tracks file
    audio : folder with `000/000002.mp3` or `000002.mp3`
    clips_only : load only tracks that have a clip

    Raises
    ------
    InvalidInput
        A folder, file or column is missing, or the database holds another catalogue.
    """
    started = time.monotonic()
    tracks_file = find_tracks_file(metadata)
    genres = read_genres(tracks_file.parent / "genres.csv")
    clips, refused = find_clips(audio) if audio is not None else ({}, {})
    await load.claim(database, SOURCE)
    await ensure_indexes(database)
    heard = await heard_tracks(database)
    report = FmaReport(files=len(clips) + len(refused))
    wanted = clips.keys() if clips_only else None
    durations, reasons = await _load_rows(database, tracks_file, genres, wanted, heard, report)
    if audio is not None:
        files, orphans = _with_rows(clips, durations)
        refused |= orphans
        sound = await load_sound(database, files, heard, processes=processes)
        _count_sound(report, sound, refused)
        reasons |= refused | sound.rejected
    await load.write_rejected(database, SOURCE, reasons, complete=audio is not None)
    state = await load.publish_catalogue(database, SOURCE)
    report.catalogue_version, report.catalogue_tracks = state["version"], state["tracks"]
    report.seconds = round(time.monotonic() - started, 2)
    return report


def find_clips(audio: Path) -> tuple[dict[int, Path], dict[str, str]]:
    """Return the clip of each track id, and the reason against every other audio file.

    Raises
    ------
    InvalidInput
        The folder does not exist.
    """
    if not audio.is_dir():
        raise InvalidInput(f"{audio} is not a folder of clips (000/000002.mp3 or 000002.mp3)")
    clips: dict[int, Path] = {}
    refused: dict[str, str] = {}
    for path in sorted(audio.rglob("*")):
        if path.suffix.lower() not in _SUFFIXES or not path.is_file():
            continue
        name = path.relative_to(audio).as_posix()
        stem = path.stem
        if not (stem.isascii() and stem.isdigit() and 1 <= int(stem) < 2**32):
            refused[name] = "no track id: its name is not FMA's number of a track"
        elif int(stem) in clips:
            refused[name] = f"duplicate id: {clips[int(stem)].relative_to(audio).as_posix()} counts"
        else:
            clips[int(stem)] = path
    return clips, refused


async def _load_rows(
    database: Database,
    tracks_file: Path,
    genres: Mapping[int, str],
    wanted: Collection[int] | None,
    heard: Mapping[int, Audio],
    report: FmaReport,
) -> tuple[dict[int, int | None], dict[str, str]]:
    """Write the rows; return each track's duration in milliseconds, and the reasons against rows."""
    durations: dict[int, int | None] = {}
    reasons: dict[str, str] = {}
    kinds: Counter[str] = Counter()
    batch: list[Track] = []
    with meter("tracks", None) as progress:
        for found in read_tracks(tracks_file, genres):
            report.rows += 1
            progress.advance()
            if isinstance(found, Rejected):
                kinds[found.reason.split(":")[0]] += 1
                # a refused duplicate must not speak against the row that counts
                reasons.setdefault(_rejection_key(found, durations), found.reason)
                continue
            durations[found["_id"]] = found["track_ms"]
            if wanted is None or found["_id"] in wanted:
                batch.append(found)
                report.tracks += 1
            if len(batch) >= load.BATCH:
                report.changed += await load.write_tracks(database, batch, heard)
                batch.clear()
        report.changed += await load.write_tracks(database, batch, heard)
    report.rejected_rows = dict(kinds.most_common())
    return durations, reasons


def _rejection_key(rejected: Rejected, durations: Mapping[int, int | None]) -> str:
    taken = rejected.key.isdigit() and int(rejected.key) in durations
    return f"{rejected.key}-again" if taken else rejected.key


def _with_rows(
    clips: Mapping[int, Path], durations: Mapping[int, int | None]
) -> tuple[list[SoundFile], dict[str, str]]:
    files: list[SoundFile] = []
    orphans: dict[str, str] = {}
    for track_id, path in clips.items():
        if track_id not in durations:
            orphans[path.name] = "no row: tracks.csv has no usable row with this number"
            continue
        expected = _expected_s(durations[track_id])
        where = str(path.resolve())
        files.append(sound_file(track_id, path, str(track_id), stored_as=where, expected_s=expected))
    return files, orphans


def _expected_s(duration_ms: int | None) -> tuple[float, ...]:
    """Return the lengths that a file may have: FMA's clip of 30 s, or the whole track."""
    if duration_ms is None:
        return (CLIP_S,)
    whole = duration_ms / 1000
    return (CLIP_S, whole) if whole > CLIP_S else (whole,)


def _count_sound(report: FmaReport, sound: SoundReport, refused: Mapping[str, str]) -> None:
    report.kept, report.extracted = sound.kept, sound.extracted
    kinds = Counter(sound.reasons)
    kinds.update(reason.split(":")[0] for reason in refused.values())
    report.rejected_files = dict(kinds.most_common())
