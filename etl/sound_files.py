"""The file of a track: what is known of it without reading it, and whether it must be read again."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from etl.pool import ClipFile
from schemas.documents import Audio, RefusedFile
from schemas.errors import InvalidInput

_MIME = {
    ".mp3": "audio/mpeg", ".mp2": "audio/mpeg", ".mp1": "audio/mpeg", ".flac": "audio/flac",
    ".ogg": "audio/ogg", ".oga": "audio/ogg", ".opus": "audio/ogg",
    ".wav": "audio/wav", ".wave": "audio/wav", ".bwf": "audio/wav",
    ".aiff": "audio/aiff", ".aif": "audio/aiff", ".aifc": "audio/aiff", ".caf": "audio/x-caf",
    ".au": "audio/basic", ".snd": "audio/basic", ".m4a": "audio/mp4",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class SoundFile:
    """The file of a track: where it lies, how its document names it, its key within the source."""

    clip: ClipFile
    key: str
    audio: Audio


def sound_file(
    track_id: int, path: Path, key: str, *, stored_as: str, expected_s: tuple[float, ...] = ()
) -> SoundFile:
    """Describe the file of a track; ``stored_as`` is the path in its document.

    Raises
    ------
    InvalidInput
        The file has gone.
    """
    try:
        found = path.stat()
    except OSError as error:
        raise InvalidInput(f"{path} cannot be read any more ({error.strerror}): run again") from error
    audio = Audio(path=stored_as, mime=mime_of(path), bytes=found.st_size, modified_ns=found.st_mtime_ns)
    return SoundFile(ClipFile(track_id, path, expected_s), key, audio)


def mime_of(path: Path) -> str:
    """Return the MIME type that a file is served under; of one that no browser knows, bytes."""
    return _MIME.get(path.suffix.lower(), "application/octet-stream")


def position(file: SoundFile) -> bytes:
    """Order by hash of the id, so that the first files are a fair sample of all; the same at every run."""
    return hashlib.blake2b(file.clip.track_id.to_bytes(8, "big"), digest_size=8).digest()


def refusal(file: SoundFile, reason: str, checks: str) -> RefusedFile:
    """Return what is stored about a refused file; ``checks`` says for what it was read."""
    return RefusedFile(
        reason=reason,
        bytes=file.audio["bytes"],
        modified_ns=file.audio.get("modified_ns", 0),
        expected_s=list(file.clip.expected_s),
        checks=checks,
    )


def reason_still(before: RefusedFile | None, now: RefusedFile) -> str | None:
    """Return why the file was refused when it was read like this before, else None."""
    if before is None or now != {**before, "reason": ""}:
        return None
    return before["reason"]


def same_sound(stored: Audio, found: Audio) -> bool:
    """Tell whether the file is the one that was read; it may have moved."""
    if "sha256" in stored and "sha256" in found:
        return stored["sha256"] == found["sha256"]
    if "modified_ns" in stored and "modified_ns" in found:
        return (stored["bytes"], stored["modified_ns"]) == (found["bytes"], found["modified_ns"])
    return (stored["path"], stored["bytes"]) == (found["path"], found["bytes"])
