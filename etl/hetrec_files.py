"""Read the files of HetRec 2011 Last.fm 2K: tab-separated, LF or CRLF, one header line.

All are UTF-8 but `tags.dat`, which is Latin-1.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from schemas.errors import InvalidInput

MAX_COUNT = 2**32 - 1
_TAGS_PER_ARTIST = 3
_LEAST_TAGS = 2  # a tag that one person gave once says little


@dataclass(frozen=True, slots=True)
class Artist:
    """One artist of `artists.dat`."""

    key: str
    name: str
    url: str | None


@dataclass(frozen=True, slots=True)
class Listening:
    """`user_artists.dat`: per user ``(artist key, plays)`` in the order of the file, and refused rows."""

    by_user: Mapping[str, list[tuple[str, int]]]
    rows: int
    refused: Mapping[str, int]


def read_artists(directory: Path) -> dict[str, Artist]:
    """Return the artists by their key.

    Raises
    ------
    InvalidInput
        The file is missing or malformed.
    """
    artists: dict[str, Artist] = {}
    for number, (key, name, url, *_) in _rows(directory / "artists.dat", ("id", "name", "url")):
        if not name.strip() or key in artists:
            raise InvalidInput(
                f"{directory / 'artists.dat'}, line {number}: artist {key!r} has no name or stands twice"
            )
        artists[key] = Artist(key, " ".join(name.split()), url.strip() or None)
    return artists


def read_listening(directory: Path, artists: Mapping[str, Artist]) -> Listening:
    """Return who played which artist how often; rows that cannot be used are counted by reason.

    Raises
    ------
    InvalidInput
        The file is missing or malformed.
    """
    by_user: dict[str, list[tuple[str, int]]] = defaultdict(list)
    refused: Counter[str] = Counter()
    seen: set[tuple[str, str]] = set()
    rows = 0
    for _, (user, artist, weight, *_rest) in _rows(
        directory / "user_artists.dat", ("userID", "artistID", "weight")
    ):
        rows += 1
        if not (user.isascii() and user.isdigit()):
            refused["user id is not a number"] += 1
        elif artist not in artists:
            refused["artist is not in artists.dat"] += 1
        elif not (weight.isascii() and weight.isdigit() and 1 <= int(weight) <= MAX_COUNT):
            refused["weight is not a positive whole number"] += 1
        elif (user, artist) in seen:
            refused["second row for the same user and artist"] += 1
        else:
            seen.add((user, artist))
            by_user[user].append((artist, int(weight)))
    return Listening(dict(by_user), rows, refused)


def read_tags(directory: Path) -> dict[str, list[str]]:
    """Return up to three tags per artist key, the most used first; empty when the files are not there."""
    paths = (directory / "tags.dat", directory / "user_taggedartists.dat")
    if not all(path.is_file() for path in paths):
        return {}
    names = {key: name.strip() for _, (key, name, *_) in _rows(paths[0], ("tagID", "tagValue"), "latin-1")}
    used: dict[str, Counter[str]] = defaultdict(Counter)
    for _, (_user, artist, tag, *_rest) in _rows(paths[1], ("userID", "artistID", "tagID")):
        used[artist][tag] += 1
    return {
        artist: [
            names[tag]
            for tag, count in sorted(counts.items(), key=lambda each: (-each[1], each[0]))
            if count >= _LEAST_TAGS and names.get(tag)
        ][:_TAGS_PER_ARTIST]
        for artist, counts in used.items()
    }


def _rows(
    path: Path, header: tuple[str, ...], encoding: str = "utf-8-sig"
) -> Iterator[tuple[int, list[str]]]:
    """Yield line numbers and cells; every row has at least the cells that ``header`` names."""
    try:
        # split by line feeds alone: a name may hold other line separators of Unicode
        lines = path.read_bytes().decode(encoding).split("\n")
    except FileNotFoundError as error:
        raise InvalidInput(
            f"{path} is missing: HetRec 2011 Last.fm has it beside its other .dat files"
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{path} cannot be read: {error}") from error
    if tuple(lines[0].rstrip("\r").split("\t")[: len(header)]) != header:
        raise InvalidInput(f"{path} does not begin with the columns {', '.join(header)}")
    for number, line in enumerate(lines[1:], start=2):
        if not (line := line.rstrip("\r")):
            continue
        cells = line.split("\t")
        if len(cells) < len(header):
            raise InvalidInput(f"{path}, line {number}: {len(cells)} columns instead of {len(header)}")
        yield number, cells
