"""Give tracks their sound: read their files, standardise, write. The demo, FMA and own music share it.

Killed at any moment and run again, it leaves the documents of an undisturbed run: what was read is written
within seconds, refusals too, and the standardisation depends on the files alone, not on their order.
"""

from collections import Counter
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import cast

import numpy as np

from connections.documents import Database, answered
from connections.feature_store import Standardisation, newest_scaler
from etl import load, normalise
from etl.batches import in_batches
from etl.features import NAMES, VERSION, Extracted
from etl.pool import ClipFile, Outcome, extract_all
from etl.progress import meter
from etl.sample import Sample
from etl.sound_files import SoundFile, position, reason_still, refusal, same_sound, sound_file
from schemas.documents import FEATURES, TRACKS, Audio, Features, RefusedFile
from schemas.errors import UnreadableAudio

__all__ = ["FIT_CLIPS", "Engine", "SoundFile", "SoundReport", "heard_tracks", "load_sound", "sound_file"]

FIT_CLIPS = 2_000
"""The first standardisation is fitted on so many clips, drawn by hash: scaling need not wait for the last."""
_DECODED_ONLY = "decoded only"
Engine = Callable[[Iterable[ClipFile]], Generator[Outcome, None, None]]
"""What turns files into outcomes, in any order: processes here, or Spark (``etl.spark_engine``)."""


@dataclass
class SoundReport:
    """What became of the files: each was kept, extracted or rejected.

    Attributes
    ----------
    rejected : reason against each file, by key; ``known`` of them were not read again
    changed : tracks whose document changed
    """

    files: int = 0
    kept: int = 0
    extracted: int = 0
    changed: int = 0
    known: int = 0
    scaler_id: str | None = None
    rejected: dict[str, str] = field(default_factory=dict)

    @property
    def reasons(self) -> dict[str, int]:
        """Number of rejected files by kind of reason (what stands before the colon)."""
        return dict(Counter(reason.split(":")[0] for reason in self.rejected.values()).most_common())


async def heard_tracks(database: Database, *, analyse: bool = True) -> dict[int, Audio]:
    """Return the sound of each track that has one and, if ``analyse``, features of the present definition."""
    tracks = database[TRACKS.name].find({"audio": {"$ne": None}}, {"audio": 1})
    heard = {track["_id"]: track["audio"] for track in await answered(tracks.to_list(None), "reading tracks")}
    if not analyse:
        return heard
    found = database[FEATURES.name].find({"version": VERSION}, {"_id": 1})
    done = {document["_id"] for document in await answered(found.to_list(None), "reading features")}
    return {track_id: audio for track_id, audio in heard.items() if track_id in done}


async def load_sound(
    database: Database,
    files: Sequence[SoundFile],
    heard: Mapping[int, Audio],
    *,
    processes: int | None = None,
    engine: Engine | None = None,
    analyse: bool = True,
    retry_rejected: bool = False,
) -> SoundReport:
    """Read the files that are new or have changed; write features, peaks, sound and refusals.

    Refusals are returned too, those of earlier runs included: the caller's ``load.write_rejected`` needs
    all of them.

    Parameters
    ----------
    files : one per track, whose documents exist already
    heard : as from ``heard_tracks``; a file equal to what is stored there is not read again
    processes : by default one per core
    engine : by default processes on this machine
    analyse : False: decode and check only, for peaks and length
    retry_rejected : read files again that were refused and have not changed
    """
    ordered = sorted(files, key=position)
    loader = _Loader(database, ordered, analyse, await _source(database))
    await loader.sort_out(heard, retry_rejected)
    engine = engine or (lambda clips: extract_all(clips, processes=processes))
    if loader.pending:
        clips = (file.clip for file in loader.pending.values())
        with meter("audio", len(loader.pending)) as progress:
            async with aclosing(in_batches(engine(clips), progress.advance)) as batches:
                async for batch in batches:
                    await loader.take(batch)
    await loader.settle()
    return loader.report


async def _source(database: Database) -> str:
    """Return the source of the catalogue: a database holds one."""
    found = await answered(database[TRACKS.name].find_one({}, {"source": 1}), "reading the catalogue")
    return str(found["source"]) if found else ""


class _Loader:
    """One run over the files of a catalogue."""

    def __init__(self, database: Database, files: Sequence[SoundFile], analyse: bool, source: str) -> None:
        self.report = SoundReport(files=len(files))
        self.pending: dict[int, SoundFile] = {}
        self._database = database
        self._files = files
        self._analyse = analyse
        self._source = source
        self._scaler: Standardisation | None = None
        self._sample = Sample([file.clip.track_id for file in files], FIT_CLIPS)

    async def sort_out(self, heard: Mapping[int, Audio], retry_rejected: bool) -> None:
        """Find out which files need not be read."""
        refused = {} if retry_rejected else await load.refused_files(self._database, self._source)
        moved: dict[int, dict[str, Audio]] = {}
        for file in self._files:
            track_id, stored = file.clip.track_id, heard.get(file.clip.track_id)
            reason = reason_still(refused.get(file.key), self._refusal(file, ""))
            if stored is not None and same_sound(stored, file.audio):
                self.report.kept += 1
                self._sample.tell(track_id, readable=True)
                if stored != file.audio:
                    moved[track_id] = {"audio": cast(Audio, {**stored, **file.audio})}
            elif reason is not None:
                self.report.rejected[file.key] = reason
                self.report.known += 1
                self._sample.tell(track_id, readable=False)
            else:
                clip = file.clip if self._analyse else replace(file.clip, analyse=False)
                self.pending[track_id] = replace(file, clip=clip)
        self.report.changed += await load.write_sound(self._database, moved, [])
        if self._analyse:
            self._scaler = await newest_scaler(self._database, VERSION)

    async def take(self, batch: Sequence[Outcome]) -> None:
        """Write outcomes; fit and store the standardisation as soon as its sample is stored."""
        readable, refused = [], {}
        for clip, outcome in batch:
            file = self.pending[clip.track_id]
            if isinstance(outcome, UnreadableAudio):
                refused[clip.track_id] = self._refusal(file, str(outcome))
            else:
                readable.append((file, outcome))
        await self._write_readable(readable)
        await self._write_refused(refused)
        if self._analyse and self._scaler is None and self._sample.complete:
            await self._fit()

    async def settle(self) -> None:
        """Bring all documents up to the newest standardisation, whoever fitted it."""
        if not self._analyse:
            return
        if self._scaler is None:
            await self._fit()
        scaler = await newest_scaler(self._database, VERSION)
        if scaler is not None:
            await normalise.carry_over(self._database, scaler)
            self.report.scaler_id = scaler.scaler_id

    async def _fit(self) -> None:
        moments = await normalise.moments_of(self._database, VERSION, self._sample.chosen)
        if moments.count:
            self._scaler = await normalise.store(self._database, moments.standardisation(VERSION, 1))

    async def _write_readable(self, readable: Sequence[tuple[SoundFile, Extracted]]) -> None:
        sounds = {
            file.clip.track_id: {"audio": file.audio, "peaks": found.peaks, "track_ms": found.length_ms}
            for file, found in readable
        }
        features = [self._features(file, found) for file, found in readable] if self._analyse else []
        self.report.changed += await load.write_sound(self._database, sounds, features)
        self.report.extracted += len(readable)
        for track_id in sounds:
            self._sample.tell(track_id, readable=True)

    def _features(self, file: SoundFile, found: Extracted) -> Features:
        document = Features(
            _id=file.clip.track_id, version=VERSION, names=list(NAMES), raw=found.vector.tolist()
        )
        if self._scaler is not None:
            document["scaled"] = self._scaler.apply(np.asarray(found.vector)).tolist()
            document["scaler_id"] = self._scaler.scaler_id
        return document

    async def _write_refused(self, refused: Mapping[int, RefusedFile]) -> None:
        await load.silence(self._database, list(refused))
        files = {self.pending[track_id].key: file for track_id, file in refused.items()}
        reasons = {key: file["reason"] for key, file in files.items()}
        if self._source:
            await load.write_rejected(self._database, self._source, reasons, complete=False, files=files)
        self.report.rejected |= reasons
        for track_id in refused:
            self._sample.tell(track_id, readable=False)

    def _refusal(self, file: SoundFile, reason: str) -> RefusedFile:
        return refusal(file, reason, VERSION if self._analyse else _DECODED_ONLY)
