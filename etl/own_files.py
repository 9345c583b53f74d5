"""The audio files below a folder of own music: which there are, and what each one holds."""

import errno
import hashlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import soundfile

from etl.own_tags import Names, read_names
from schemas.errors import InvalidInput

# RAW has no header, and MAT4 and MAT5 hold any numbers: a folder says nothing of them being music
_SUFFIXES_OF = {
    "AIFF": (".aiff", ".aif", ".aifc"), "AU": (".au", ".snd"), "AVR": (".avr",), "CAF": (".caf",),
    "FLAC": (".flac",), "HTK": (".htk",), "IRCAM": (".ircam", ".sf"), "MP3": (".mp3", ".mp2", ".mp1"),
    "MPC2K": (".mpc2k",), "NIST": (".nist", ".sph"), "OGG": (".ogg", ".oga", ".opus"), "PAF": (".paf",),
    "PVF": (".pvf",), "RF64": (".rf64",), "SD2": (".sd2",), "SDS": (".sds",), "SVX": (".8svx", ".iff"),
    "VOC": (".voc",), "W64": (".w64",), "WAV": (".wav", ".wave", ".bwf"), "WVE": (".wve",), "XI": (".xi",),
}  # fmt: skip
_OTHER_AUDIO = frozenset(
    {".m4a", ".m4b", ".aac", ".alac", ".wma", ".ape", ".wv", ".mpc", ".mka", ".tta", ".tak", ".dsf", ".dff",
     ".ra", ".amr", ".spx", ".ac3", ".dts", ".mod", ".xm", ".it", ".mid", ".midi"}
)  # fmt: skip


@lru_cache(maxsize=1)
def decodable_suffixes() -> frozenset[str]:
    """Return the suffixes, in lower case, of the formats that the libsndfile of this machine decodes."""
    formats = soundfile.available_formats()
    return frozenset(suffix for name in formats for suffix in _SUFFIXES_OF.get(name, ()))


@dataclass(frozen=True, slots=True)
class Found:
    """An audio file where it lies: absolute path, size, time stamp."""

    path: str
    bytes: int
    modified_ns: int


@dataclass(frozen=True, slots=True)
class Content:
    """What a file holds: its state while it was read, the SHA-256 of its bytes, its names."""

    found: Found
    sha256: str
    names: Names


@dataclass
class Scan:
    """What lies below a folder.

    Attributes
    ----------
    files : decodable by their suffix, in no order
    refused : path and reason of each audio file, folder or link that cannot be used
    unseen : paths that could not be looked at: nothing is known of what lies there
    others : files that are no audio
    """

    files: list[Found] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)
    unseen: list[str] = field(default_factory=list)
    others: int = 0

    def miss(self, path: str, what: str, error: OSError) -> None:
        """Note what could not be looked at."""
        self.refused[printable(path)] = f"{what}: {error.strerror or error}"
        self.unseen.append(path)


def printable(path: str) -> str:
    """Return a path as text that any database and terminal takes."""
    return path.encode("utf-8", "backslashreplace").decode()


def is_below(path: str, root: str) -> bool:
    """Return whether a path is ``root`` or lies below it; both absolute."""
    return path == root or path.startswith(root.rstrip(os.sep) + os.sep)


def scan_folder(root: Path, scan: Scan) -> Iterator[int]:
    """Fill ``scan`` with what lies below ``root``, a folder or one file; yield the number of entries seen.

    Links are followed; a folder that is reached twice counts once, under its own path if that lies below
    ``root``. So no loop of links is endless.

    Raises
    ------
    InvalidInput
        ``root`` cannot be looked at.
    """
    try:
        status = root.stat()
    except OSError as error:
        raise InvalidInput(f"{root} cannot be read: {error.strerror}") from error
    if not stat.S_ISDIR(status.st_mode):
        _look(str(root), status, scan)
        yield 1
        return
    folders, links = [str(root)], list[str]()
    visited: set[tuple[int, int]] = set()
    while folders or links:
        # links last: what lies below the root itself counts under its own path
        folder = folders.pop() if folders else links.pop(0)
        try:
            status = os.stat(folder)
            if (status.st_dev, status.st_ino) in visited:
                continue
            visited.add((status.st_dev, status.st_ino))
            with os.scandir(folder) as entries:
                yield _enter(sorted(entries, key=lambda entry: entry.name), folders, links, scan)
        except OSError as error:
            scan.miss(folder, "unreadable folder", error)


def _enter(entries: list[os.DirEntry[str]], folders: list[str], links: list[str], scan: Scan) -> int:
    for entry in entries:
        try:
            if entry.is_dir():
                (links if entry.is_symlink() else folders).append(entry.path)
            else:
                _look(entry.path, entry.stat(), scan)
        except OSError as error:
            if Path(entry.name).suffix.lower() not in decodable_suffixes():
                scan.others += 1
            elif error.errno in (errno.ENOENT, errno.ELOOP):
                scan.refused[printable(entry.path)] = "broken link: it leads to no file"
            else:
                scan.miss(entry.path, "unreadable file", error)
    return len(entries)


def _look(path: str, status: os.stat_result, scan: Scan) -> None:
    name = os.path.basename(path)
    suffix = Path(name).suffix.lower()
    # macOS leaves ._Song.mp3 beside Song.mp3 on foreign disks: no audio
    if name.startswith("._") or not stat.S_ISREG(status.st_mode):
        scan.others += 1
    elif suffix in _OTHER_AUDIO:
        scan.refused[printable(path)] = f"format not supported: libsndfile does not decode {suffix}"
    elif suffix not in decodable_suffixes():
        scan.others += 1
    elif path != printable(path):
        scan.refused[printable(path)] = "name not UTF-8: rename the file or the folder that it lies in"
    else:
        scan.files.append(Found(path, status.st_size, status.st_mtime_ns))


def read_content(path: Path, root: Path) -> Content:
    """Return hash and names of a file below ``root``.

    Raises
    ------
    OSError
        The file cannot be read, or it changed while it was.
    """
    with path.open("rb") as file:
        before = os.fstat(file.fileno())
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        names = read_names(path, root)
        after = os.fstat(file.fileno())
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        raise OSError(errno.EBUSY, "it changed while it was read; run again when it is complete")
    return Content(Found(str(path), after.st_size, after.st_mtime_ns), digest, names)
