"""What a file of own music says of itself: its tags, or else its name and the folders that it lies in."""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePath

from tinytag import TinyTag, TinyTagException

from etl.text import NAME_LIMIT

_MAX_GENRES = 10
_SPACES = re.compile(r"\s+")
# controls, overrides of the writing direction, halves of surrogate pairs, which no database takes
_UNSEEN = re.compile("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]+")
_PADDED = re.compile(r"(?:\d{1,2}-)?0\d{1,2}(?:\s*[-–._]\s*|\s+)(?=\S)")
_MARKED = re.compile(r"(?:\d{1,3}(?:\s*[._]\s*(?!\d)|\s*[-–]\s+)|[(\[]\d{1,3}[)\]]\s*)(?=\S)")
_TWO_DIGITS = re.compile(r"(?:\d{1,2}-)?\d{2}(?:\s*[-–]\s*|\s+)(?=[^\s\d])")
_DISC = re.compile(r"(?:cd|dis[ck])\s*\d+", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Names:
    """What a file is called.

    Attributes
    ----------
    title : never empty
    artist, album : None where neither tags nor folders say
    genres : each once, without regard to case
    year : four digits
    number : on the album, 1 or more
    tagged : the title is a tag
    stated_ms : length in the file's header, which may be wrong
    """

    title: str
    artist: str | None = None
    album: str | None = None
    genres: tuple[str, ...] = ()
    album_artist: str | None = None
    year: str | None = None
    number: int | None = None
    tagged: bool = False
    stated_ms: int | None = None


def tag_text(text: object) -> str:
    """Return one line of text, at most 500 characters: control characters and white space are single spaces.

    >>> tag_text(" Caf\\u0065\\u0301\\x00\\n Noir ")
    'Caf\u00e9 Noir'
    """
    # letters and their accents as one character: file systems and taggers differ in it
    plain = unicodedata.normalize("NFC", str(text))
    return _SPACES.sub(" ", _UNSEEN.sub(" ", plain)).strip()[:NAME_LIMIT].rstrip()


def read_names(path: Path, root: Path) -> Names:
    """Return the names of a file below ``root``; unreadable tags count as none.

    Raises
    ------
    OSError
        The file cannot be read.
    """
    tags = _tags(path)
    title, artist, album = tag_text(tags.title or ""), tag_text(tags.artist or ""), tag_text(tags.album or "")
    album_artist = tag_text(tags.albumartist or "")
    from_path = names_of_path(path.relative_to(root) if path != root else PurePath(path.name))
    return Names(
        title=title or from_path.title,
        artist=artist or album_artist or from_path.artist,
        album=album or from_path.album,
        genres=_genres([tags.genre or "", *tags.other.get("genre", ())]),
        album_artist=album_artist or None,
        year=_year(tags.year),
        number=tags.track if tags.track and 0 < tags.track < 100_000 else None,
        tagged=bool(title),
        stated_ms=round(tags.duration * 1000) if tags.duration and 0 < tags.duration < 1e6 else None,
    )


def _tags(path: Path) -> TinyTag:
    for duration in (True, False):  # a length that cannot be read must not cost the tags
        try:
            return TinyTag.get(path, duration=duration)
        except TinyTagException:  # tinytag raises nothing else for what it finds in a file
            continue
    return TinyTag()


def names_of_path(path: PurePath) -> Names:
    """Return names from a path laid out `Artist/Album/NN Title.suffix`; else the title alone.

    >>> names_of_path(PurePath("Nina Simone/Pastel Blues/07 Sinnerman.flac"))
    Names(title='Sinnerman', artist='Nina Simone', album='Pastel Blues', genres=(), album_artist=None, \
year=None, number=None, tagged=False, stated_ms=None)
    """
    folders = [part for part in path.parts[:-1] if not _DISC.fullmatch(part)]
    artist, album = folders[-2:] if len(folders) >= 2 else ("", "")
    title = title_of_stem(path.stem, numbered=bool(artist))
    return Names(title, tag_text(artist) or None, tag_text(album) or None)


def title_of_stem(stem: str, *, numbered: bool = False) -> str:
    """Return a title from a file's name without suffix: a leading track number goes.

    Without a mark behind it, or a zero before it, a number may belong to the title (`99 Luftballons`), unless
    the file lies in the folder of an album (``numbered``).

    >>> [title_of_stem(each) for each in ("01 - Intro", "1-07. Coda", "99 Luftballons", "04_blue_in_green")]
    ['Intro', 'Coda', '99 Luftballons', 'blue in green']
    """
    text = tag_text(stem)
    for pattern in (_PADDED, _MARKED, _TWO_DIGITS) if numbered else (_PADDED, _MARKED):
        if found := pattern.match(text):
            text = text[found.end() :]
            break
    if " " not in text:
        text = tag_text(text.replace("_", " ")) or text
    return text or "Untitled"


def _genres(texts: Iterable[str]) -> tuple[str, ...]:
    found: dict[str, str] = {}
    for text in texts:
        for part in re.split(r"[;\x00]", text):
            if name := tag_text(part):
                found.setdefault(name.casefold(), name)
    return tuple(list(found.values())[:_MAX_GENRES])


def _year(text: str | None) -> str | None:
    found = re.search(r"(?<!\d)[12]\d{3}(?!\d)", text or "")
    return found.group() if found else None
