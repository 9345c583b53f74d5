"""Own music that tests write themselves: songs that differ in sound, with tags, in many formats."""

from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from connections.documents import Database

RATE_HZ = 22_050
_FRAMES = {
    "title": "TIT2",
    "artist": "TPE1",
    "album": "TALB",
    "genre": "TCON",
    "date": "TDRC",
    "tracknumber": "TRCK",
}


def song(number: int, length_s: float = 5.5) -> np.ndarray:
    """Return a song that sounds like no other number: float [n]."""
    t = np.arange(int(length_s * RATE_HZ)) / RATE_HZ
    hz = 110.0 * 1.31**number
    noise = np.random.default_rng(number).normal(0, 0.02, len(t))
    return 0.3 * np.sin(2 * np.pi * hz * t) * (1 + 0.5 * np.sin((1 + number % 5) * t)) + noise


def write_song(path: Path, number: int, length_s: float = 5.5, **tags: str) -> Path:
    """Write a song; the suffix decides the format. Tags: title, artist, album, genre, date, tracknumber."""
    path.parent.mkdir(parents=True, exist_ok=True)
    suffix = path.suffix.lower()
    form = {".opus": "OGG", ".aif": "AIFF"}.get(suffix, suffix[1:].upper())
    subtype = "OPUS" if suffix == ".opus" else None
    rate_hz = 24_000 if suffix == ".opus" else RATE_HZ
    with soundfile.SoundFile(path, "w", rate_hz, 1, format=form, subtype=subtype) as file:
        for name, value in tags.items() if suffix != ".mp3" else ():
            setattr(file, name, value)
        file.write(song(number, length_s))
    if suffix == ".mp3":
        retag_mp3(path, **tags)
    return path


def retag_mp3(path: Path, **tags: str) -> None:
    """Give an MP3 other tags: an ID3v2.4 header before the same frames."""
    sound = path.read_bytes()
    if sound.startswith(b"ID3"):
        size = sum(byte << shift for byte, shift in zip(sound[6:10], (21, 14, 7, 0), strict=True))
        sound = sound[10 + size :]
    path.write_bytes(id3(**tags) + sound)


def id3(**tags: str) -> bytes:
    """Return an ID3v2.4 header with text frames in UTF-8."""

    def size(number: int) -> bytes:
        return bytes(number >> shift & 127 for shift in (21, 14, 7, 0))

    texts = {_FRAMES[name]: b"\x03" + text.encode("utf-8", "surrogatepass") for name, text in tags.items()}
    frames = b"".join(name.encode() + size(len(text)) + bytes(2) + text for name, text in texts.items())
    return b"ID3\x04\x00\x00" + size(len(frames)) + frames if frames else b""


async def documents(database: Database) -> dict[str, list[dict[str, Any]]]:
    """Return all documents of the catalogue, for comparison; the reports of runs are no part of it."""
    names = ("tracks", "track_details", "features", "scalers", "catalogue", "rejected_tracks", "own_files")
    return {name: await database[name].find({}).sort("_id", 1).to_list(None) for name in names}


async def titles(database: Database, **query: Any) -> dict[str, int]:
    """Return the id of each track by its title."""
    return {track["title"]: track["_id"] async for track in database["tracks"].find(query)}
