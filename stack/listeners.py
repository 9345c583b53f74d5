"""Synthetic listeners with a known taste: what each one plays is decided by a seed alone."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

FAITHFUL_SHARE = 0.85
"""Share of a listener's plays that fall into the preferred genres."""

_LIKE_SHARE = 0.08
_SKIP_ELSEWHERE = 0.45
_SKIP_AT_HOME = 0.06
_CLIP_MS = 30_000


@dataclass(frozen=True, slots=True)
class Track:
    """What a listener needs to know of a track."""

    track_id: int
    genres: tuple[str, ...]
    track_ms: int


@dataclass(frozen=True, slots=True)
class Listener:
    """One synthetic listener; ``genres`` are the one or two preferred ones."""

    name: str
    genres: tuple[str, ...]
    seed: tuple[int, int]


def make_listeners(tracks: Sequence[Track], count: int, seed: int) -> list[Listener]:
    """Return ``count`` listeners whose tastes cover the genres evenly."""
    genres = sorted({genre for track in tracks for genre in track.genres})
    listeners = []
    for index in range(count):
        draw = np.random.default_rng((seed, index))
        chosen = [genres[index % len(genres)]] if genres else []
        if len(genres) > 1 and draw.random() < 0.5:
            chosen.append(str(draw.choice([genre for genre in genres if genre not in chosen])))
        listeners.append(Listener(f"demo-{seed}-{index:03d}", tuple(chosen), (seed, index)))
    return listeners


def make_events(
    listener: Listener, tracks: Sequence[Track], plays: int, run: str
) -> Iterator[dict[str, Any]]:
    """Yield the events of one listener: ``plays`` plays with likes among them, numbered from 1.

    The same listener, tracks, count and run give the same events, so that sending them twice has effect
    once; another run is the same music once more.
    """
    session = f"{listener.name}-{run}"
    draw = np.random.default_rng((*listener.seed, 1))
    home = [track for track in tracks if set(track.genres) & set(listener.genres)]
    away = [track for track in tracks if not set(track.genres) & set(listener.genres)]
    favourites = {name: _popularity(draw, len(part)) for name, part in (("home", home), ("away", away))}
    seq = 0
    for _ in range(plays):
        at_home = bool(home) and (not away or draw.random() < FAITHFUL_SHARE)
        part, shares = (home, favourites["home"]) if at_home else (away, favourites["away"])
        track = part[int(draw.choice(len(part), p=shares))]
        seq += 1
        yield _event(session, seq, track, _heard(draw, track, at_home))
        if at_home and draw.random() < _LIKE_SHARE:
            seq += 1
            yield _event(session, seq, track, {"type": "like"})


def _popularity(draw: np.random.Generator, count: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    # each listener has favourites: the first of a random order is played most
    weights = 1.0 / (1.0 + np.arange(count))
    draw.shuffle(weights)
    return np.asarray(weights / weights.sum() if count else weights)


def _heard(draw: np.random.Generator, track: Track, at_home: bool) -> Mapping[str, Any]:
    skipped = draw.random() < (_SKIP_AT_HOME if at_home else _SKIP_ELSEWHERE)
    share = draw.uniform(0.03, 0.3) if skipped else 1.0
    return {
        "type": "play",
        "listened_ms": int(share * track.track_ms),
        "track_ms": track.track_ms,
        "end_reason": "skipped" if skipped else "finished",
    }


def _event(session: str, seq: int, track: Track, fields: Mapping[str, Any]) -> dict[str, Any]:
    return {"session": session, "seq": seq, "track_id": track.track_id, **fields}


def read_track(found: Mapping[str, Any]) -> Track:
    """Return a track from an entry of ``GET tracks``."""
    return Track(int(found["track_id"]), tuple(found["genres"]), int(found["track_ms"] or _CLIP_MS))
