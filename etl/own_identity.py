"""Which file is which track, by its bytes. Pure: the outcome does not depend on the order of what is given.

A track keeps its id as long as a file has the bytes that its file had last, or had when it was added. What
is left then is for ``etl.own_likeness``. Each track gets at most one file and each content at most one track;
files with equal bytes are one content, and the others are copies.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from enum import StrEnum

SOURCE = "own"


@dataclass(frozen=True, slots=True)
class Label:
    """The names that are compared, without regard to case; ``tagged``: they stand in the file."""

    title: str
    artist: str | None
    album: str | None
    tagged: bool

    @property
    def folded(self) -> tuple[str, str, str]:
        """Artist, album and title, to compare."""
        return (self.artist or "").casefold(), (self.album or "").casefold(), self.title.casefold()


@dataclass(frozen=True, slots=True)
class Present:
    """A file that is there; ``stated_ms`` is the length in its header, which may be wrong."""

    path: str
    sha256: str
    label: Label
    stated_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Known:
    """A track and its file as it was last seen; ``key`` is the SHA-256 of the file that it was added with."""

    track_id: int
    key: str
    path: str
    sha256: str
    label: Label


class How(StrEnum):
    """How a file relates to its track."""

    ADDED = "added"
    KEPT = "kept"
    MOVED = "moved"
    RETAGGED = "retagged"
    ENCODED_ANEW = "encoded anew"


@dataclass(frozen=True, slots=True)
class Placed:
    """A file and its track."""

    path: str
    track_id: int
    key: str
    how: How


@dataclass(frozen=True, slots=True)
class Assignment:
    """What became of files and tracks.

    Attributes
    ----------
    placed : one file of each track that has one
    copies : path of a file that adds nothing, and the path of the one with its bytes that counts
    lost : tracks that have no file
    """

    placed: list[Placed]
    copies: dict[str, str]
    lost: list[Known]


@dataclass(frozen=True, slots=True)
class Group:
    """Files with equal bytes, in the order of paths; label and length are those of the first."""

    sha256: str
    paths: tuple[str, ...]
    label: Label
    stated_ms: int | None


@dataclass(frozen=True, slots=True)
class ByBytes:
    """What equal bytes decide; ``open`` are the contents that no track had."""

    decided: Assignment
    open: list[Group]


def by_bytes(present: Iterable[Present], known: Collection[Known], untouched: Collection[int]) -> ByBytes:
    """Find the tracks whose bytes are there.

    Parameters
    ----------
    present : the files that were looked at
    known : all tracks
    untouched : ids of the tracks whose file lies elsewhere, or could not be looked at: they keep it
    """
    files = {each.path: each for each in present}
    files |= {e.path: Present(e.path, e.sha256, e.label) for e in known if e.track_id in untouched}
    same: dict[str, list[str]] = defaultdict(list)
    for path in sorted(files):
        same[files[path].sha256].append(path)
    newest, oldest = _holders(known)
    placed: dict[int, Placed] = {}
    copies: dict[str, str] = {}
    unheld: list[Group] = []
    # newest bytes first: a copy of an older state of a file that is still there adds nothing
    for sha256, paths in sorted(same.items(), key=lambda item: (item[0] not in newest, item[0])):
        track = newest.get(sha256) or oldest.get(sha256)
        if track is None:
            first = files[paths[0]]
            unheld.append(Group(sha256, tuple(paths), first.label, first.stated_ms))
            continue
        if track.track_id not in placed:
            path = track.path if track.path in paths else paths[0]
            how = How.KEPT if path == track.path else How.MOVED
            how = how if sha256 in newest else How.RETAGGED  # an older state was put back
            placed[track.track_id] = Placed(path, track.track_id, track.key, how)
        counts = placed[track.track_id].path
        copies |= {path: counts for path in paths if path != counts}
    lost = sorted((each for each in known if each.track_id not in placed), key=lambda each: each.track_id)
    return ByBytes(Assignment(list(placed.values()), copies, lost), unheld)


def _holders(known: Iterable[Known]) -> tuple[dict[str, Known], dict[str, Known]]:
    """Return the track of each newest, and of each oldest content."""
    ordered = sorted(known, key=lambda each: each.track_id, reverse=True)
    return {each.sha256: each for each in ordered}, {each.key: each for each in ordered}
