"""How the tracks of a history stand with its user: what is forbidden, what is known, what was met when."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recommender.encoding import HERE, HIDDEN, LESS, LIKED, History, Interactions
from recommender.foldin import Strengths

DAY_S = 86_400


@dataclass(frozen=True, eq=False, slots=True)
class Standing:
    """The tracks of one history, each once, whatever services it was heard on.

    Attributes
    ----------
    track_ids : int64 [t], ascending
    forbidden : bool [t], hidden tracks and those just played
    same_second : bool [t], tracks of the newest second beside the forbidden ones: one of them may have been
        the last played, so they come only where a list would else be too short
    known : bool [t], tracks that the user has listened to or liked
    heard : int64 [t], listens and imported listens
    liked : bool [t]
    unwanted : bool [t], hidden, or fewer like it wanted
    strength : float64 [t], what was solved; 0 for a track that says nothing
    last_s : int64 [t], newest event, seconds since 1970; 0 where only listens without a time are known
    now_s : the user's newest event: "now" in event time
    hidden_artists : uint64
    genres : uint32, keys of genres chosen at the start
    last_track_id : also forbidden, though it need not stand in the history; None where nobody knows
    """

    track_ids: NDArray[np.int64]
    forbidden: NDArray[np.bool_]
    same_second: NDArray[np.bool_]
    known: NDArray[np.bool_]
    heard: NDArray[np.int64]
    liked: NDArray[np.bool_]
    unwanted: NDArray[np.bool_]
    strength: NDArray[np.float64]
    last_s: NDArray[np.int64]
    now_s: int
    hidden_artists: NDArray[np.uint64]
    genres: NDArray[np.uint32]
    last_track_id: int | None

    def lately(self, days: int) -> NDArray[np.bool_]:
        """Say of each track whether it was met in the last days; one without a time was: it does not age."""
        met: NDArray[np.bool_] = (self.last_s == 0) | (self.last_s > self.now_s - days * DAY_S)
        return met

    def barred(self, *, same_second: bool) -> NDArray[np.int64]:
        """Return the tracks that may not come, with those of the newest second or without: int64."""
        mask = self.forbidden | self.same_second if same_second else self.forbidden
        last = [] if self.last_track_id is None else [self.last_track_id]
        return np.concatenate([self.track_ids[mask], np.array(last, np.int64)])


def standing(
    history: History, strengths: Strengths, last_track_id: int | None, recent_tracks: int
) -> Standing:
    """Return how tracks stand with the user of ``history``.

    Parameters
    ----------
    strengths : of ``strength.strengths``
    last_track_id : track of the newest play, where the caller knows it: surely forbidden
    recent_tracks : how many of the tracks played last are forbidden
    """
    rows = history.interactions
    track_ids, flags = rows["track_id"].astype(np.int64), rows["flags"]
    heard, last_s = rows["listens"].astype(np.int64) + rows["imported"], rows["last_s"].astype(np.int64)
    recent, same_second = _newest(rows, last_s, recent_tracks)
    hidden, liked = (flags & HIDDEN) != 0, (flags & LIKED) != 0
    masks = [
        hidden | recent | (track_ids == (last_track_id or 0)),
        same_second,
        (heard > 0) | liked,
        liked,
        hidden | ((flags & LESS) != 0),
    ]
    order = np.argsort(track_ids, kind="stable")
    track_ids, heard, last_s = track_ids[order], heard[order], last_s[order]
    masks = [mask[order] for mask in masks]
    first = np.ones(len(rows), bool)
    np.not_equal(track_ids[1:], track_ids[:-1], out=first[1:])
    if not first.all():  # a track that came from several services
        at = np.flatnonzero(first)
        masks = [np.logical_or.reduceat(mask, at) for mask in masks]
        track_ids, heard, last_s = track_ids[at], np.add.reduceat(heard, at), np.maximum.reduceat(last_s, at)
    forbidden, same_second, known, liked, unwanted = masks
    strength = strengths[1]
    if len(strength) < len(track_ids):
        strength = np.zeros(len(track_ids))
        strength[np.searchsorted(track_ids, strengths[0])] = strengths[1]
    return Standing(
        track_ids=track_ids,
        forbidden=forbidden,
        same_second=same_second & ~forbidden,
        known=known,
        heard=heard,
        liked=liked,
        unwanted=unwanted,
        strength=strength,
        last_s=last_s,
        now_s=history.last_event_ms // 1000,
        hidden_artists=history.hidden_artists,
        genres=history.genres,
        last_track_id=last_track_id,
    )


def _newest(
    rows: Interactions, last_s: NDArray[np.int64], recent_tracks: int
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Say which rows were played last, and which others in the newest second."""
    recent, same_second = np.zeros(len(rows), bool), np.zeros(len(rows), bool)
    # a row without counts and flags is a play that was stopped early
    played = (rows["listens"] > 0) | (rows["skips"] > 0) | (rows["flags"] == 0)
    by_time = np.flatnonzero(played & (rows["source"] == HERE))
    by_time = by_time[np.argsort(last_s[by_time], kind="stable")[::-1]]
    if recent_tracks and len(by_time):
        recent[by_time[:recent_tracks]] = True
        later = by_time[recent_tracks:]
        same_second[later[last_s[later] == last_s[by_time[0]]]] = True
    return recent, same_second
