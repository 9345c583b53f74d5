"""The clips of FMA in a folder: which file belongs to which track, and why one belongs to none."""

from collections.abc import Mapping
from pathlib import Path

from etl.sound_files import SoundFile, sound_file
from schemas.errors import InvalidInput

CLIP_S = 30.0
_SUFFIXES = frozenset({".mp3", ".ogg", ".flac", ".wav", ".m4a", ".opus"})


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


def with_rows(
    clips: Mapping[int, Path], durations: Mapping[int, int | None]
) -> tuple[list[SoundFile], dict[str, str]]:
    """Return the files of tracks that have a row, and the reason against the others.

    Parameters
    ----------
    durations : length in milliseconds of each track that has a row
    """
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
