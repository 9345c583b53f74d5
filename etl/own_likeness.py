"""Which file is which track, by what it sounds like and by its names. Pure.

A content that no track had becomes a lost track if

- it sounds the same (length and features), or
- lies at the track's path and has its tags, or its length within two seconds, or
- has its artist, album and title, and its length within two seconds.

The best pairs go first: same sound, then same path, then least difference in length. What is left is new.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from etl.ids import foreign_id
from etl.own_identity import SOURCE, Assignment, ByBytes, Group, How, Known, Placed

NEAR_MS = 2_000
"""Lengths this far apart may be those of one recording, encoded twice."""
_SAME_MS = 50
_SAME_FEATURES = 1e-3  # share, and absolute: another machine computes them in another order


@dataclass(frozen=True, slots=True, eq=False)
class Sound:
    """What a decoded file sounds like: length, and features float64 [f] as extracted (None: not known)."""

    length_ms: int | None
    features: NDArray[np.float64] | None = None


def by_sound(found: ByBytes, sounds: Mapping[str, Sound], old: Mapping[int, Sound]) -> Assignment:
    """Give the open contents lost tracks where they fit, else new ones.

    Parameters
    ----------
    sounds : of the files that ``doubtful`` names, by path; one that cannot be decoded is missing
    old : of the lost tracks
    """
    placed, copies = list(found.decided.placed), dict(found.decided.copies)
    free = {group.sha256: group for group in found.open}
    lost = {each.track_id: each for each in found.decided.lost}

    def place(group: Group, path: str, track_id: int, key: str, how: How) -> None:
        placed.append(Placed(path, track_id, key, how))
        copies.update({each: path for each in group.paths if each != path})

    for _, sha256, track_id, same in sorted(_pairs(found, sounds, old)):
        if sha256 in free and track_id in lost:
            group, track = free.pop(sha256), lost.pop(track_id)
            path = track.path if track.path in group.paths else group.paths[0]
            place(group, path, track_id, track.key, How.RETAGGED if same else How.ENCODED_ANEW)
    for group in free.values():
        place(group, group.paths[0], foreign_id(SOURCE, group.sha256), group.sha256, How.ADDED)
    return Assignment(placed, copies, list(lost.values()))


def doubtful(found: ByBytes, old: Mapping[int, Sound]) -> list[str]:
    """Return the paths, one of each open content, that must be decoded because a lost track may be theirs.

    Parameters
    ----------
    old : of the lost tracks
    """
    lost = found.decided.lost
    paths, names = {each.path for each in lost}, {each.label.folded for each in lost}
    lengths = np.sort([sound.length_ms for sound in old.values() if sound.length_ms is not None])
    return [
        group.paths[0]
        for group in found.open
        if not paths.isdisjoint(group.paths)
        or group.label.folded in names
        or _maybe_near(group.stated_ms, lengths)
    ]


def _maybe_near(stated_ms: int | None, lengths_ms: NDArray[np.int64]) -> bool:
    if stated_ms is None:
        return len(lengths_ms) > 0
    # headers are wrong by a little, or by so much that the names must tell
    slack = NEAR_MS + stated_ms // 20
    low, high = np.searchsorted(lengths_ms, (stated_ms - slack, stated_ms + slack + 1))
    return bool(high > low)


_Rank = tuple[bool, bool, int]
_Pair = tuple[_Rank, str, int, bool]


def _pairs(found: ByBytes, sounds: Mapping[str, Sound], old: Mapping[int, Sound]) -> list[_Pair]:
    """Return the pairs of content and lost track that may be one, the best first when sorted."""
    at_path: dict[str, list[Known]] = defaultdict(list)
    named: dict[tuple[str, str, str], list[Known]] = defaultdict(list)
    long: dict[int, list[Known]] = defaultdict(list)
    for track in found.decided.lost:
        at_path[track.path].append(track)
        named[track.label.folded].append(track)
        length = old.get(track.track_id, Sound(None)).length_ms
        if length is not None:
            long[length // _SAME_MS].append(track)
    pairs: dict[tuple[str, int], _Pair] = {}
    for group in found.open:
        sound = sounds.get(group.paths[0], Sound(None))
        likely = [track for path in group.paths for track in at_path[path]] + named[group.label.folded]
        if sound.length_ms is not None:
            step = sound.length_ms // _SAME_MS
            likely += [track for each in (step - 1, step, step + 1) for track in long[each]]
        for track in likely:
            pair = _pair(group, track, sound, old.get(track.track_id, Sound(None)))
            if pair is not None:
                pairs[group.sha256, track.track_id] = pair
    return list(pairs.values())


def _pair(group: Group, track: Known, sound: Sound, old: Sound) -> _Pair | None:
    here = track.path in group.paths
    apart = _apart_ms(sound, old)
    near = apart is not None and apart <= NEAR_MS
    same = same_sound(sound, old)
    names = group.label.folded == track.label.folded
    if here:
        fits = same or near or (names and group.label.tagged and track.label.tagged)
    else:
        # without an artist equal names say little
        fits = same or (near and names and group.label.artist is not None)
    rank = (not same, not here, NEAR_MS + 1 if apart is None else apart)
    return (rank, group.sha256, track.track_id, same) if fits else None


def same_sound(one: Sound, other: Sound) -> bool:
    """Return whether two files sound the same: equal length within 50 ms, and equal features."""
    apart = _apart_ms(one, other)
    if apart is None or apart > _SAME_MS or one.features is None or other.features is None:
        return False
    return one.features.shape == other.features.shape and bool(
        np.allclose(one.features, other.features, rtol=_SAME_FEATURES, atol=_SAME_FEATURES)
    )


def _apart_ms(one: Sound, other: Sound) -> int | None:
    if one.length_ms is None or other.length_ms is None:
        return None
    return abs(one.length_ms - other.length_ms)
