"""Write what became of own music: tracks, records of files, sound, refusals, marks of removal.

Written so that a run that was killed at any moment is completed by the next one: a track stays hidden until
it has its sound, and the record of a file is written after the names of its track.
"""

from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import Path

from connections.documents import Database
from etl import load
from etl.features import VERSION
from etl.ids import foreign_id
from etl.own_files import Scan, is_below
from etl.own_identity import SOURCE, How, Known, Placed
from etl.own_matching import Match
from etl.own_records import (
    Memory,
    drop_never_heard,
    hide,
    record_id,
    show_again,
    with_features,
    write_details,
    write_records,
)
from etl.own_refusals import write_refusals
from etl.own_tags import Names
from etl.pool import ClipFile
from etl.sound import heard_tracks, load_sound
from etl.sound_files import SoundFile, mime_of, refusal
from schemas.documents import Audio, OwnFile, RefusedFile, Track, TrackDetails

UNKNOWN_ARTIST = "Unknown artist"


class Loading:
    """One run after the decisions.

    Attributes
    ----------
    counts : files with a usable track, by what happened to them
    came_back, removed : tracks whose file is there again, or gone
    """

    def __init__(self, database: Database, memory: Memory, matched: Match) -> None:
        self.counts: Counter[How] = Counter()
        self.came_back = 0
        self.removed = 0
        self._database = database
        self._memory = memory
        self._match = matched
        # the files that were looked at; others keep what they have
        self._placed = [each for each in matched.assignment.placed if each.path in matched.seen]
        self._rejected: dict[str, str] = {}

    async def load(self, processes: int | None) -> None:
        """Write names and records, then the sound of what is new or has changed."""
        before = dict(self._memory.records)
        heard = await self._heard()
        await self._write_names()
        await self._write_records()
        files = [self._sound_file(each) for each in self._placed]
        report = await load_sound(self._database, files, heard, engine=self._match.engine(processes))
        self._rejected = report.rejected
        for placed in self._placed:
            if placed.path not in self._rejected:
                record = before.get(record_id(placed.track_id))
                back = record is not None and record["gone"]
                self.came_back += back
                self.counts[placed.how] += not back

    async def settle(self, root: str, scan: Scan) -> dict[str, str]:
        """Show tracks that sound, hide those whose file is gone or refused; return why files are not used.

        Parameters
        ----------
        root : what was scanned
        """
        sounding = [each.track_id for each in self._placed if each.path not in self._rejected]
        await show_again(self._database, sounding)
        gone = [each for each in self._match.assignment.lost if is_below(each.path, root)]
        copies = {
            path: f"duplicate: same bytes as {first}"
            for path, first in self._match.assignment.copies.items()
            if path in self._match.seen and first not in self._rejected
        }
        # a copy of a file that is refused is refused like it
        rejected = self._rejected | {
            path: self._rejected[first]
            for path, first in self._match.assignment.copies.items()
            if path in self._match.seen and first in self._rejected
        }
        await self._write_what_is_left(root, scan, gone, {*copies, *rejected})
        silent = [each.track_id for each in self._placed if each.path in self._rejected]
        await hide(self._database, silent + [each.track_id for each in gone])
        await drop_never_heard(self._database)
        reasons = self._match.refused | rejected | copies
        files = {path: self._memory.refused[path] for path in self._match.refused}
        files |= {path: self._refusal(path, reason) for path, reason in rejected.items()}
        await write_refusals(self._database, root, scan.refused | reasons, files, scan.unseen)
        return reasons

    async def _heard(self) -> dict[int, Audio]:
        """Return the sound of the tracks that have features, those included whose file comes back."""
        heard = await heard_tracks(self._database)
        waiting: dict[int, Audio] = {}
        for placed in self._placed:
            record = self._memory.records.get(record_id(placed.track_id))
            sounded = placed.track_id in self._memory.tracks and self._memory.tracks[placed.track_id].sounded
            if record is not None and record["heard_sha256"] and sounded and placed.track_id not in heard:
                # the track holds no sound: what it had differs from the file's in all but the hash
                waiting[placed.track_id] = Audio(path="", mime="", bytes=0, sha256=record["heard_sha256"])
        kept = await with_features(self._database, waiting)
        return heard | {track_id: audio for track_id, audio in waiting.items() if track_id in kept}

    async def _write_names(self) -> None:
        named = [
            (placed, names)
            for placed in self._placed
            if (names := self._match.seen[placed.path].names) is not None
        ]
        tracks = [track_document(placed, names) for placed, names in named]
        for track in tracks:
            if track["_id"] not in self._memory.tracks:
                track["removed_ms"] = load.now_ms()  # hidden until it sounds
        for start in range(0, len(tracks), load.BATCH):
            await load.write_tracks(self._database, tracks[start : start + load.BATCH], self._memory.tracks)
        await write_details(self._database, [details(placed.track_id, names) for placed, names in named])

    async def _write_records(self) -> None:
        records: dict[str, OwnFile | None] = {}
        for placed in self._placed:
            key = record_id(placed.track_id)
            before = self._memory.records.get(key)
            heard = before["heard_sha256"] if before is not None else None
            records[key] = self._record(key, placed.path, placed.track_id, placed.key, heard)
        await write_records(self._database, self._memory, records)

    async def _write_what_is_left(
        self, root: str, scan: Scan, gone: Sequence[Known], no_tracks: Collection[str]
    ) -> None:
        """Write the records of files that are no tracks, and of tracks without file; drop outdated ones."""
        records: dict[str, OwnFile | None] = {}
        stay = no_tracks | self._match.refused.keys()
        for key, record in self._memory.records.items():
            unknown = any(is_below(record["path"], unseen) for unseen in scan.unseen)
            if record["track_id"] is None and is_below(record["path"], root) and not unknown:
                records |= {} if record["path"] in stay else {key: None}
        for path in no_tracks:
            records[path] = self._record(path, path, None, None, None)
        for placed in self._placed:
            state = self._memory.tracks.get(placed.track_id)
            if placed.path in self._rejected and not (state and state.sounded):
                records[record_id(placed.track_id)] = None
        for track in gone:
            key, state = record_id(track.track_id), self._memory.tracks[track.track_id]
            record = self._memory.records[key]
            heard = state.audio.get("sha256") if state.audio else record["heard_sha256"]
            self.removed += state.sounded and not record["gone"]
            records[key] = {**record, "gone": True, "heard_sha256": heard} if state.sounded else None
        await write_records(self._database, self._memory, records)

    def _record(
        self, record_id: str, path: str, track_id: int | None, key: str | None, heard_sha256: str | None
    ) -> OwnFile:
        seen = self._match.seen[path]
        return OwnFile(
            _id=record_id,
            path=path,
            bytes=seen.found.bytes,
            modified_ns=seen.found.modified_ns,
            sha256=seen.sha256,
            track_id=track_id,
            key=key,
            title=seen.label.title,
            artist=seen.label.artist,
            album=seen.label.album,
            tagged=seen.label.tagged,
            gone=False,
            heard_sha256=heard_sha256,
        )

    def _audio(self, path: str) -> Audio:
        seen = self._match.seen[path]
        return Audio(
            path=path,
            mime=mime_of(Path(path)),
            bytes=seen.found.bytes,
            modified_ns=seen.found.modified_ns,
            sha256=seen.sha256,
        )

    def _sound_file(self, placed: Placed) -> SoundFile:
        return SoundFile(ClipFile(placed.track_id, Path(placed.path)), placed.path, self._audio(placed.path))

    def _refusal(self, path: str, reason: str) -> RefusedFile:
        return refusal(SoundFile(ClipFile(0, Path(path)), path, self._audio(path)), reason, VERSION)


def track_document(placed: Placed, names: Names) -> Track:
    """Return the track of a file as it is described in the catalogue, without its sound."""
    if names.artist is not None:
        artist_id = foreign_id("own-artist", names.artist.casefold())
    else:
        # unknown artists are not one artist: "at most two of one artist" must not count them together
        artist_id = foreign_id("own-artist-of-track", placed.key)
    return Track(
        _id=placed.track_id,
        title=names.title,
        artist=names.artist or UNKNOWN_ARTIST,
        artist_id=artist_id,
        album=names.album,
        genres=list(names.genres),
        track_ms=None,
        licence=None,
        licence_url=None,
        source=SOURCE,
        source_key=placed.key,
        source_url=None,
        audio=None,
    )


def details(track_id: int, names: Names) -> TrackDetails:
    """Return what the tags tell beyond the description: number, and album artist and year of the album."""
    found = TrackDetails(_id=track_id)
    if names.number is not None:
        found["number"] = names.number
    album = {"artist": names.album_artist, "released": names.year}
    if any(album.values()):
        found["album"] = {name: value for name, value in album.items() if value is not None}
    return found
