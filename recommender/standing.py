"""What a history forbids, and what its user knows already."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recommender.encoding import HERE, HIDDEN, LIKED, History


@dataclass(frozen=True, eq=False, slots=True)
class Standing:
    """How tracks stand with one user.

    Attributes
    ----------
    forbidden : int64, hidden tracks and those just played
    hidden_artists : uint64
    same_second : int64, tracks of the newest second beside the forbidden ones: one of them may have been
        the last played, so they come only where a list would else be too short
    known : int64, tracks that the user has listened to or liked
    genres : uint32, keys of genres chosen at the start
    """

    forbidden: NDArray[np.int64]
    hidden_artists: NDArray[np.uint64]
    same_second: NDArray[np.int64]
    known: NDArray[np.int64]
    genres: NDArray[np.uint32]


def standing(history: History, last_track_id: int | None, recent_tracks: int) -> Standing:
    """Return how tracks stand with the user of ``history``.

    Parameters
    ----------
    last_track_id : track of the newest play, where the caller knows it: surely forbidden
    recent_tracks : how many of the tracks played last are forbidden
    """
    rows = history.interactions
    track_ids = rows["track_id"].astype(np.int64)
    flags = rows["flags"]
    heard = (rows["listens"] > 0) | (rows["imported"] > 0)
    # a row without counts and flags is a play that was stopped early
    played = (rows["source"] == HERE) & ((rows["listens"] > 0) | (rows["skips"] > 0) | (flags == 0))
    by_time = np.flatnonzero(played)[np.argsort(rows["last_s"][played], kind="stable")[::-1]]
    recent = track_ids[by_time[:recent_tracks]]
    times = rows["last_s"][by_time]
    later = by_time[recent_tracks:][times[recent_tracks:] == times.max(initial=0)]
    tied = track_ids[later if recent_tracks else later[:0]]
    known_last = [] if last_track_id is None else [last_track_id]
    return Standing(
        forbidden=np.concatenate([track_ids[(flags & HIDDEN) != 0], recent, known_last]).astype(np.int64),
        hidden_artists=history.hidden_artists,
        same_second=tied,
        known=np.unique(track_ids[heard | ((flags & LIKED) != 0)]),
        genres=history.genres,
    )
