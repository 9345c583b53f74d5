"""The demo catalogue: 48 short tracks in six styles, synthesised here and loaded like any other catalogue."""

import asyncio
import multiprocessing
import re
import threading
import time
import zlib
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from connections.documents import Database, ensure_indexes
from etl import load
from etl.demo_sound import SAMPLE_RATE_HZ
from etl.demo_styles import STYLES
from etl.demo_titles import TITLES
from etl.ids import foreign_id
from etl.pool import serve_parent
from etl.progress import meter
from etl.sound import heard_tracks, load_sound, sound_file
from schemas.documents import Track
from schemas.errors import InvalidInput

SOURCE = "demo"
SEED = 20_260_501
LICENCE = "CC0 1.0 Universal"
LICENCE_URL = "https://creativecommons.org/publicdomain/zero/1.0/"
_FOLDER = "audio/demo"
_PROCESSES = 2
_COMPRESSION = 0.7  # libsndfile's scale: 112 kbit/s, constant, mono


@dataclass(frozen=True, slots=True)
class DemoTrack:
    """One track to be made; ``number`` counts within its style."""

    key: str
    title: str
    artist: str
    style: str
    number: int

    @property
    def track_id(self) -> int:
        """Id in the catalogue."""
        return foreign_id(SOURCE, self.key)

    @property
    def stored_as(self) -> str:
        """Path of the file relative to the data folder."""
        return f"{_FOLDER}/{self.key}.mp3"

    @property
    def length_s(self) -> float:
        """Length of the sound: 20 to 22 s."""
        return 20.0 + zlib.crc32(self.key.encode()) % 5 * 0.5


@dataclass
class DemoReport:
    """Summary of a run."""

    tracks: int = 0
    synthesised: int = 0
    changed: int = 0
    kept: int = 0
    extracted: int = 0
    catalogue_version: str = ""
    seconds: float = 0.0


def demo_tracks() -> list[DemoTrack]:
    """Return the 48 tracks, in a fixed order."""
    return [
        DemoTrack(_slug(f"{artist} {title}"), title, artist, style, number)
        for style, artists in TITLES.items()
        for number, (artist, title) in enumerate(
            (artist, title) for artist, titles in artists.items() for title in titles
        )
    ]


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def synthesise(track: DemoTrack, path: Path) -> None:
    """Write one track as MP3, mono, 44.1 kHz, 112 kbit/s; the file appears whole or not at all."""
    sound = STYLES[track.style](_rng(track.key), _rng(track.artist), track.length_s)
    unfinished = path.with_suffix(".part")
    soundfile.write(
        unfinished,
        sound,
        SAMPLE_RATE_HZ,
        format="MP3",
        subtype="MPEG_LAYER_III",
        bitrate_mode="CONSTANT",
        compression_level=_COMPRESSION,
    )
    unfinished.replace(path)


def _rng(name: str) -> np.random.Generator:
    return np.random.default_rng([SEED, zlib.crc32(name.encode())])


def make_missing(data_dir: Path, tracks: Sequence[DemoTrack], stop: threading.Event) -> int:
    """Synthesise the tracks whose file is missing, in two processes, until ``stop``; return their number.

    Raises
    ------
    InvalidInput
        The folder cannot be written.
    """
    missing = [track for track in tracks if not (data_dir / track.stored_as).is_file()]
    try:
        (data_dir / _FOLDER).mkdir(parents=True, exist_ok=True)
        if missing:
            _make(data_dir, missing, stop)
    except (OSError, soundfile.LibsndfileError) as error:
        raise InvalidInput(f"demo tracks cannot be written below {data_dir / _FOLDER}: {error}") from error
    return len(missing)


def _make(data_dir: Path, missing: Sequence[DemoTrack], stop: threading.Event) -> None:
    processes = min(_PROCESSES, len(missing))
    executor = ProcessPoolExecutor(processes, multiprocessing.get_context("spawn"), initializer=serve_parent)
    with meter("demo tracks", len(missing)) as progress, executor as pool:
        made = [pool.submit(synthesise, track, data_dir / track.stored_as) for track in missing]
        for future in as_completed(made):
            future.result()
            progress.advance()
            if stop.is_set():
                pool.shutdown(cancel_futures=True)
                return


async def run(database: Database, data_dir: Path) -> DemoReport:
    """Synthesise and load the demo catalogue; what exists already is left as it is.

    Raises
    ------
    InvalidInput
        The folder cannot be written, or the database holds another catalogue.
    """
    started = time.monotonic()
    tracks = demo_tracks()
    await load.claim(database, SOURCE)
    await ensure_indexes(database)
    stop = threading.Event()
    try:
        synthesised = await asyncio.to_thread(make_missing, data_dir, tracks, stop)
    finally:
        stop.set()  # Ctrl-C: what is finished stays, the rest is not begun
    heard = await heard_tracks(database)
    changed = await load.write_tracks(database, [_document(track) for track in tracks], heard)
    files = [
        sound_file(track.track_id, data_dir / track.stored_as, track.key, stored_as=track.stored_as)
        for track in tracks
    ]
    sound = await load_sound(database, files, heard, processes=_PROCESSES)
    await load.write_rejected(database, SOURCE, sound.rejected, complete=True)
    state = await load.publish_catalogue(database, SOURCE)
    return DemoReport(
        tracks=state["tracks"],
        synthesised=synthesised,
        changed=changed,
        kept=sound.kept,
        extracted=sound.extracted,
        catalogue_version=state["version"],
        seconds=round(time.monotonic() - started, 2),
    )


def _document(track: DemoTrack) -> Track:
    return Track(
        _id=track.track_id,
        title=track.title,
        artist=track.artist,
        artist_id=foreign_id("demo-artist", track.artist),
        album=None,
        genres=[track.style],
        track_ms=None,
        licence=LICENCE,
        licence_url=LICENCE_URL,
        source=SOURCE,
        source_key=track.key,
        source_url=None,
        audio=None,
    )
