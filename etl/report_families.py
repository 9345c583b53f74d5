"""Features in families by their names alone, so that the report can draw any definition of them."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

_ROWS = 24
_LEAST = 3
OTHER = "other"
# the number of a coefficient or band, or the name of a note with s for sharp
_COUNTER = re.compile(r"[0-9]+|[a-gA-G]s?")


@dataclass(frozen=True, slots=True)
class Family:
    """Features that are drawn together.

    Attributes
    ----------
    title : what their names have in common
    labels : what distinguishes each feature
    columns : position of each in the vector
    series : whether their labels count, as those of 20 coefficients do
    """

    title: str
    labels: list[str]
    columns: list[int]
    series: bool


def families(names: Sequence[str]) -> list[Family]:
    """Return each feature in one family: first the series, then the others.

    ``mfcc_00_mean``, ``mfcc_01_mean``, ... differ in a number alone, ``chroma_c_mean``, ``chroma_cs_mean``,
    ... in a note: series "mfcc mean" and "chroma mean". Other features are grouped by the first word of their
    names, and those of groups of less than three together as "other".
    """
    stems: dict[str, list[tuple[str, int]]] = {}
    for column, name in enumerate(names):
        stem, counter = _parted(name)
        stems.setdefault(stem if counter else f"\0{name}", []).append((counter, column))
    series: list[Family] = []
    groups: dict[str, list[int]] = {}
    for stem, members in stems.items():
        if len(members) >= _LEAST and not stem.startswith("\0"):
            series.append(Family(stem or OTHER, [n for n, _ in members], [c for _, c in members], True))
            continue
        for _, column in members:
            groups.setdefault(next(iter(_words(names[column])), OTHER), []).append(column)
    few = [column for columns in groups.values() if len(columns) < _LEAST for column in columns]
    large = [columns for columns in groups.values() if len(columns) >= _LEAST]
    return (
        series
        + [part for columns in large for part in _rows(columns, names)]
        + _rows(sorted(few), names, OTHER)
    )


def _words(name: str) -> list[str]:
    return re.findall(r"[^\W_]+", name)


def _parted(name: str) -> tuple[str, str]:
    """Return a name without what counts in it, and that."""
    words = _words(name)
    counts = [bool(_COUNTER.fullmatch(word)) and position > 0 for position, word in enumerate(words)]
    stem = " ".join(word for word, counter in zip(words, counts, strict=True) if not counter)
    return stem, " ".join(word for word, counter in zip(words, counts, strict=True) if counter)


def _rows(columns: list[int], names: Sequence[str], title: str | None = None) -> list[Family]:
    """Return families that are no series, of at most 24 features each."""
    words = [_words(names[column]) for column in columns]
    shared = 0
    if title is None:
        while len({tuple(each[: shared + 1]) for each in words}) == 1 and shared + 1 < min(map(len, words)):
            shared += 1
        title = " ".join(words[0][:shared]) or OTHER
    labels = [" ".join(each[shared:]) or names[column] for each, column in zip(words, columns, strict=True)]
    pieces = [slice(start, start + _ROWS) for start in range(0, len(columns), _ROWS)]
    return [
        Family(title if len(pieces) == 1 else f"{title} ({n})", labels[piece], columns[piece], False)
        for n, piece in enumerate(pieces, start=1)
    ]
