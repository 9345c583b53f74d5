"""How the tracks of a history stand with its user: what is forbidden, what is known, what was met when."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recommender.encoding import HIDDEN, LESS, LIKED, History, PackedRows
from recommender.strength import row_strengths

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
    strength : float64 [t], what is solved; 0 for a track that says nothing
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


class Standings:
    """The standings of many users, computed together: columns over all their tracks, user after user.

    Parameters
    ----------
    last_track_ids : of each user the track of the newest play, where the caller knows it: surely forbidden
    recent_tracks : how many of the tracks played last are forbidden

    Attributes
    ----------
    starts : int64 [users + 1], where the tracks of each user begin
    last_track_ids : int64 [users], 0 where nobody knows
    users : int64 [t], whose track it is
    track_ids, forbidden, same_second, known, strength, ... : [t], as in ``Standing``
    """

    def __init__(
        self, histories: Sequence[History], last_track_ids: Sequence[int | None], recent_tracks: int
    ) -> None:
        self._histories = histories
        rows = PackedRows(histories)
        self._now_ms = np.array([history.last_event_ms for history in histories], np.int64)
        users, track_ids, heard, last_s = rows.users, rows.track_id, rows.heard, rows.last_s
        strength = row_strengths(rows, self._now_ms)
        recent, same_second = _newest(rows, recent_tracks)
        hidden, liked = (rows.flags & HIDDEN) != 0, (rows.flags & LIKED) != 0
        self.last_track_ids = np.array([track_id or 0 for track_id in last_track_ids], np.int64)
        masks = [
            hidden | recent | (track_ids == self.last_track_ids[users]),
            same_second,
            (heard > 0) | liked,
            liked,
            hidden | ((rows.flags & LESS) != 0),
        ]
        first = np.ones(len(users), bool)
        first[1:] = (track_ids[1:] != track_ids[:-1]) | (users[1:] != users[:-1])
        if not first.all():  # a track that came from several services
            at = np.flatnonzero(first)
            masks = [np.logical_or.reduceat(mask, at) for mask in masks]
            users, track_ids, strength = users[at], track_ids[at], np.add.reduceat(strength, at)
            heard, last_s = np.add.reduceat(heard, at), np.maximum.reduceat(last_s, at)
        self.users, self.track_ids, self.strength = users, track_ids, strength
        self.heard, self.last_s = heard, last_s
        self.forbidden, same_second, self.known, self.liked, self.unwanted = masks
        self.same_second = same_second & ~self.forbidden
        self.starts = np.searchsorted(users, np.arange(len(histories) + 1))
        self._each = [self._of(user) for user in range(len(histories))]

    def __getitem__(self, user: int) -> Standing:
        """Return how tracks stand with one user."""
        return self._each[user]

    def __len__(self) -> int:
        """Return the number of users."""
        return len(self._each)

    def its(self, user: int) -> slice:
        """Return where the tracks of a user stand in the columns."""
        return slice(int(self.starts[user]), int(self.starts[user + 1]))

    def _of(self, user: int) -> Standing:
        its, history = self.its(user), self._histories[user]
        return Standing(
            track_ids=self.track_ids[its],
            forbidden=self.forbidden[its],
            same_second=self.same_second[its],
            known=self.known[its],
            heard=self.heard[its],
            liked=self.liked[its],
            unwanted=self.unwanted[its],
            strength=self.strength[its],
            last_s=self.last_s[its],
            now_s=int(self._now_ms[user]) // 1000,
            hidden_artists=history.hidden_artists,
            genres=history.genres,
            last_track_id=int(self.last_track_ids[user]) or None,
        )


def _newest(rows: PackedRows, recent_tracks: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Say which rows were played last by their user, and which others in that user's newest second.

    What a user liked, or wants less of, may have been played long before: such a row is among the last, but
    takes no other's place, for up to twice as many.
    """
    recent, same_second = np.zeros(len(rows.users), bool), np.zeros(len(rows.users), bool)
    if not recent_tracks:
        return recent, same_second
    # a row without counts and flags is a play that was stopped early
    at = np.flatnonzero(rows.here & ((rows.heard > 0) | (rows.skips > 0) | (rows.flags == 0)))
    # of rows of one second the one that first occurred later comes first
    at = at[np.lexsort((-rows.places[at], -rows.last_s[at], rows.users[at]))]
    of = rows.users[at]
    began = np.searchsorted(of, of)
    place = np.arange(len(at)) - began
    surely_played = np.cumsum(np.append(False, rows.flags[at] == 0))
    others_before = surely_played[:-1] - surely_played[began]
    last = (others_before < recent_tracks) & (place < 3 * recent_tracks)
    recent[at] = last
    same_second[at] = ~last & (rows.last_s[at] == rows.last_s[at[began]])
    return recent, same_second
