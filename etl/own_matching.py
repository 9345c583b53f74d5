"""Find out which file of own music is which track: what is known meets what is there."""

import os
from collections.abc import Generator, Iterable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path

from connections.documents import Database
from etl.batches import in_batches
from etl.features import Extracted
from etl.own_files import Content, Found, Scan, is_below
from etl.own_identity import Assignment, Known, Label, Present, by_bytes
from etl.own_likeness import Sound, by_sound, doubtful
from etl.own_records import Memory, label_of, read_features
from etl.own_tags import Names
from etl.pool import ClipFile, Outcome, extract_all
from etl.progress import meter
from etl.sound import Engine
from schemas.errors import UnreadableAudio


@dataclass(frozen=True, slots=True)
class Seen:
    """A file that is there; ``names`` is None where nothing had to be read."""

    found: Found
    sha256: str
    label: Label
    names: Names | None


@dataclass(frozen=True, slots=True)
class Match:
    """Files and their tracks.

    Attributes
    ----------
    seen : the files that may be tracks, by path
    assignment : also of files elsewhere that were not looked at
    decoded : what was decoded to decide, by path
    refused : files that were refused before and have not changed, with the reason
    """

    seen: dict[str, Seen]
    assignment: Assignment
    decoded: dict[str, Extracted | UnreadableAudio]
    refused: dict[str, str]

    def engine(self, processes: int | None) -> Engine:
        """Return an engine that decodes no file twice."""
        return replaying(self.decoded, lambda files: extract_all(files, processes=processes))


async def match(
    database: Database,
    root: str,
    scan: Scan,
    memory: Memory,
    contents: Mapping[str, Content],
    processes: int | None,
) -> Match:
    """Decide which file is which track; nothing is written.

    Parameters
    ----------
    root : what was scanned
    contents : of the files that are new or have changed, by path
    """
    seen, refused = _seen(scan, memory, contents)
    present = [
        Present(path, each.sha256, each.label, each.names.stated_ms if each.names else None)
        for path, each in seen.items()
    ]
    known = memory.known()
    found = by_bytes(present, known, _untouched(root, scan, memory, known))
    old = await _sounds_of(database, memory, found.decided.lost) if found.open else {}
    decoded = await _decode(doubtful(found, old), processes)
    sounds = {
        path: Sound(each.length_ms, each.vector)
        for path, each in decoded.items()
        if not isinstance(each, UnreadableAudio)
    }
    return Match(seen, by_sound(found, sounds, old), decoded, refused)


def _seen(
    scan: Scan, memory: Memory, contents: Mapping[str, Content]
) -> tuple[dict[str, Seen], dict[str, str]]:
    seen: dict[str, Seen] = {}
    refused: dict[str, str] = {}
    for found in scan.files:
        content, record = contents.get(found.path), memory.unchanged(found)
        reason = memory.still_refused(found)
        if content is not None:
            names = content.names
            label = Label(names.title, names.artist, names.album, names.tagged)
            seen[found.path] = Seen(content.found, content.sha256, label, names)
        elif reason is not None:
            refused[found.path] = reason
        elif record is not None:
            seen[found.path] = Seen(found, record["sha256"], label_of(record), None)
    return seen, refused


def _untouched(root: str, scan: Scan, memory: Memory, known: Iterable[Known]) -> set[int]:
    """Return the tracks that keep their file: it lies elsewhere, or nobody could look whether it is there."""

    def keeps(path: str) -> bool:
        if is_below(path, root):
            return any(is_below(path, unseen) for unseen in scan.unseen)
        return os.path.exists(path)

    gone = {record["track_id"] for record in memory.records.values() if record["gone"]}
    return {each.track_id for each in known if each.track_id not in gone and keeps(each.path)}


async def _sounds_of(database: Database, memory: Memory, tracks: Iterable[Known]) -> dict[int, Sound]:
    ids = [each.track_id for each in tracks if each.track_id in memory.tracks]
    features = await read_features(database, ids)
    return {track_id: Sound(memory.tracks[track_id].length_ms, features.get(track_id)) for track_id in ids}


async def _decode(paths: list[str], processes: int | None) -> dict[str, Extracted | UnreadableAudio]:
    if not paths:
        return {}
    clips = [ClipFile(number, Path(path)) for number, path in enumerate(paths)]
    decoded: dict[str, Extracted | UnreadableAudio] = {}
    with meter("comparing", len(paths)) as progress:
        async with aclosing(in_batches(extract_all(clips, processes=processes), progress.advance)) as batches:
            async for batch in batches:
                decoded |= {paths[clip.track_id]: outcome for clip, outcome in batch}
    return decoded


def replaying(decoded: Mapping[str, Extracted | UnreadableAudio], engine: Engine) -> Engine:
    """Return an engine that yields what is decoded already and leaves the rest to another one."""

    def run(files: Iterable[ClipFile]) -> Generator[Outcome, None, None]:
        rest: list[ClipFile] = []
        for file in files:
            outcome = decoded.get(str(file.path))
            if outcome is None:
                rest.append(file)
            else:
                yield file, outcome
        yield from engine(rest)

    return run
