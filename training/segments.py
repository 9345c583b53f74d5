"""Parts of a judgement: light and heavy listeners, head, tail and cold tracks. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.judgement import Judged

_HEAD_SHARE = 0.5


@dataclass(frozen=True)
class Segment:
    """Judged users, and which of their held-out items count.

    Attributes
    ----------
    rule : in words, for a reader
    users : int64 [n], positions among the judged users; each has at least one item that counts
    relevant : the items that count, of each of these users
    """

    name: str
    rule: str
    users: NDArray[np.int64]
    relevant: list[set[int]]

    @property
    def held_out(self) -> int:
        """Number of held-out interactions that count."""
        return sum(map(len, self.relevant))


def segments(judged: Judged, training_listeners: NDArray[np.int64]) -> list[Segment]:
    """Return the segments that have users.

    Light listeners are the judged users whose number of positive training interactions is at most the
    lower third's bound, heavy ones those beyond the upper third's; where the two are equal, light ones are
    those below it. The head are the most listened tracks
    that together hold half of the training interactions, cold tracks have none, the tail is the rest. For
    tracks, a user's list stays whole and only held-out items of the segment count as hits.

    Parameters
    ----------
    training_listeners : int64 [items], users with a positive training interaction
    """
    parts = [*_by_listener(judged), *_by_track(judged, training_listeners)]
    return [part for part in parts if len(part.users)]


def track_classes(training_listeners: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return 0 for a track of the head, 1 for one of the tail, 2 for a cold one: int64 [items]."""
    order = np.argsort(-training_listeners, kind="stable")
    before = np.cumsum(training_listeners[order]) - training_listeners[order]
    classes = np.ones(len(training_listeners), np.int64)
    classes[order[before < _HEAD_SHARE * training_listeners.sum()]] = 0
    classes[training_listeners == 0] = 2
    return classes


def _by_listener(judged: Judged) -> list[Segment]:
    shown = (~judged.held_out & (judged.values > 0)).astype(np.int64)
    counts = np.add.reduceat(shown, judged.offsets[:-1])
    low, high = (int(np.quantile(counts, share, method="lower")) for share in (1 / 3, 2 / 3))
    low = min(low, high - 1)  # where most users have equally many
    relevant = judged.relevant
    chosen = (
        ("light listeners", f"at most {low} tracks in training", counts <= low),
        ("heavy listeners", f"more than {high} tracks in training", counts > high),
    )
    return [
        Segment(name, rule, users, [relevant[user] for user in users])
        for name, rule, users in ((n, r, np.flatnonzero(where)) for n, r, where in chosen)
    ]


def _by_track(judged: Judged, training_listeners: NDArray[np.int64]) -> list[Segment]:
    classes = track_classes(training_listeners)
    head = training_listeners[classes == 0]
    floor = int(head.min()) if len(head) else 0
    rules = (
        (
            "head tracks",
            f"the {len(head):,} most listened, {floor} listeners or more: half of all interactions",
        ),
        ("tail tracks", "all others with a listener in training"),
        ("cold tracks", "nobody listened in training"),
    )
    relevant = judged.relevant
    return [
        _only(name, rule, relevant, set(np.flatnonzero(classes == number).tolist()))
        for number, (name, rule) in enumerate(rules)
    ]


def _only(name: str, rule: str, relevant: Sequence[set[int]], items: set[int]) -> Segment:
    counted = [(user, wanted & items) for user, wanted in enumerate(relevant) if wanted & items]
    users = np.array([user for user, _ in counted], np.int64)
    return Segment(name, rule, users, [wanted for _, wanted in counted])
