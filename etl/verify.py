"""Compare what the catalogue says with the files and with itself. Nothing is written."""

import asyncio
import hashlib
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from connections.documents import Database, answered
from connections.feature_store import Standardisation
from etl.progress import meter
from schemas.documents import CATALOGUE, FEATURES, REJECTED_TRACKS, SCALERS, TRACKS, Audio

EXAMPLES = 20
"""How many of each kind are listed; all are counted."""
_BATCH = 500
_AT_ONCE = 8


@dataclass
class VerifyReport:
    """Counts, and what is wrong.

    Attributes
    ----------
    tracks, removed, audio : all; those whose file is gone; those with sound
    hashed, without_sha256 : files whose content was compared, and those of which no SHA-256 is recorded
    wrong : number by kind
    examples : the first of each kind
    """

    tracks: int = 0
    removed: int = 0
    audio: int = 0
    features: int = 0
    unscaled: int = 0
    scalers: int = 0
    rejected: int = 0
    hashed: int = 0
    without_sha256: int = 0
    wrong: dict[str, int] = field(default_factory=dict)
    examples: dict[str, list[str]] = field(default_factory=dict)
    seconds: float = 0.0

    def note(self, kind: str, what: str) -> None:
        """Count something that is wrong."""
        self.wrong[kind] = self.wrong.get(kind, 0) + 1
        listed = self.examples.setdefault(kind, [])
        if len(listed) < EXAMPLES:
            listed.append(what)

    def sentence(self) -> str | None:
        """Return what is wrong in one sentence; None when nothing is."""
        if not self.wrong:
            return None
        kinds = ", ".join(f"{count:,} x {kind}" for kind, count in self.wrong.items())
        return (
            f"the catalogue does not agree with its files or with itself: {kinds}; "
            "bring the files back, or run the command that loaded it again"
        )


async def run(database: Database, data_dir: Path, *, deep: bool = False) -> VerifyReport:
    """Compare documents with files and with each other.

    Parameters
    ----------
    data_dir : what stored paths that are not absolute begin at
    deep : read all files and compare their SHA-256 with the one recorded, where one is
    """
    started = time.monotonic()
    report = VerifyReport()
    sounds, silent = await _read_tracks(database, report)
    await _check_files({i: (data_dir / audio["path"], audio) for i, audio in sounds.items()}, deep, report)
    known = await _check_scalers(database, report)
    described = await _check_features(database, sounds.keys() | silent, known, report)
    for track_id in sorted(sounds.keys() - described):
        report.note("sound without features", f"track {track_id}")
    report.rejected = await answered(
        database[REJECTED_TRACKS.name].count_documents({}), "counting rejections"
    )
    state = await answered(database[CATALOGUE.name].find_one({}), "reading the catalogue")
    stated = state["tracks"] if state is not None else 0
    if stated != report.tracks:
        report.note("unfinished load", f"the catalogue states {stated:,} tracks and holds {report.tracks:,}")
    report.seconds = round(time.monotonic() - started, 2)
    return report


async def _read_tracks(database: Database, report: VerifyReport) -> tuple[dict[int, Audio], set[int]]:
    """Return the sound of each track that has one, and the ids of the others."""
    sounds: dict[int, Audio] = {}
    silent: set[int] = set()
    cursor = database[TRACKS.name].find({}, {"audio": 1, "removed_ms": 1})
    while batch := await answered(cursor.to_list(_BATCH), "reading the catalogue"):
        for track in batch:
            report.tracks += 1
            report.removed += "removed_ms" in track
            if track.get("audio") is not None:
                sounds[track["_id"]] = track["audio"]
            else:
                silent.add(track["_id"])
    report.audio = len(sounds)
    return sounds, silent


async def _check_files(files: Mapping[int, tuple[Path, Audio]], deep: bool, report: VerifyReport) -> None:
    total = sum(audio["bytes"] for _, audio in files.values())
    ordered = sorted(files.values(), key=lambda each: each[0])
    step = _AT_ONCE if deep else _BATCH
    with meter("files", total if deep else len(files), in_bytes=deep) as progress:
        for start in range(0, len(ordered), step):
            batch = ordered[start : start + step]
            if deep:
                found = await asyncio.gather(*(asyncio.to_thread(_look, *each, deep) for each in batch))
            else:
                found = await asyncio.to_thread(lambda: [_look(*each, False) for each in batch])  # noqa: B023
            for (path, audio), kind in zip(batch, found, strict=True):
                if kind is not None:
                    report.note(kind, str(path))
                elif deep:
                    report.hashed += "sha256" in audio
                    report.without_sha256 += "sha256" not in audio
            progress.advance(sum(audio["bytes"] for _, audio in batch) if deep else len(batch))


def _look(path: Path, audio: Audio, deep: bool) -> str | None:
    """Return what is wrong with a file."""
    try:
        size = path.stat().st_size
        if not path.is_file():
            return "missing file"
        if size != audio["bytes"]:
            return "size changed"
        if deep and "sha256" in audio:
            with path.open("rb") as file:
                if hashlib.file_digest(file, "sha256").hexdigest() != audio["sha256"]:
                    return "content changed"
    except (FileNotFoundError, NotADirectoryError):
        return "missing file"
    except OSError:
        return "unreadable file"
    return None


async def _check_scalers(database: Database, report: VerifyReport) -> dict[str, int]:
    """Return the number of features of each scaler."""
    lengths: dict[str, int] = {}
    for each in await answered(database[SCALERS.name].find({}).to_list(None), "reading the scalers"):
        mean, scale = np.asarray(each["mean"], np.float64), np.asarray(each["scale"], np.float64)
        lengths[each["_id"]] = len(mean)
        named = Standardisation.named(each["version"], each.get("revision", 0), each["count"], mean, scale)
        if named.scaler_id != each["_id"] or not (np.isfinite(mean).all() and (scale > 0).all()):
            report.note("damaged scaler", f"{each['_id']} of {each['version']}")
    report.scalers = len(lengths)
    return lengths


async def _check_features(
    database: Database, tracks: set[int], scalers: Mapping[str, int], report: VerifyReport
) -> set[int]:
    """Return the ids of the tracks that have features."""
    ids: set[int] = set()
    lengths: defaultdict[str, Counter[int]] = defaultdict(Counter)
    odd: defaultdict[tuple[str, int], list[int]] = defaultdict(list)
    cursor = database[FEATURES.name].find({}, {"names": 0}).batch_size(_BATCH)
    with meter("features", None) as progress:
        while batch := await answered(cursor.to_list(_BATCH), "reading features"):
            for each in batch:
                ids.add(each["_id"])
                length = len(each["raw"])
                lengths[each["version"]][length] += 1
                if len(odd[each["version"], length]) < EXAMPLES:
                    odd[each["version"], length].append(each["_id"])
                report.unscaled += "scaled" not in each
                for kind in _faults(each, tracks, scalers):
                    report.note(kind, f"track {each['_id']}, {each['version']}")
            progress.advance(len(batch))
    report.features = len(ids)
    _check_lengths(lengths, odd, report)
    return ids


def _faults(found: Mapping[str, Any], tracks: set[int], scalers: Mapping[str, int]) -> Iterable[str]:
    if found["_id"] not in tracks:
        yield "features without track"
    vectors = [found["raw"], found.get("scaled", ())]
    if not all(np.isfinite(np.asarray(vector, np.float64)).all() for vector in vectors):
        yield "features not finite"
    if "scaled" in found:
        if found.get("scaler_id") not in scalers:
            yield "features of an unknown scaler"
        elif not len(found["raw"]) == len(found["scaled"]) == scalers[found["scaler_id"]]:
            yield "features do not fit their scaler"


def _check_lengths(
    lengths: Mapping[str, Counter[int]], examples: Mapping[tuple[str, int], list[int]], report: VerifyReport
) -> None:
    for version, counts in lengths.items():
        usual = max(counts, key=lambda length: (counts[length], length))
        for length, count in counts.items():
            if length != usual:
                which = ", ".join(str(track_id) for track_id in examples[version, length])
                kind = "features of another length"
                report.note(kind, f"{version}: {length} instead of {usual} numbers: tracks {which}")
                report.wrong[kind] += count - 1
