"""Histories with known taste in them."""

import hashlib

import numpy as np

from recommender.encoding import EMPTY
from recommender.history import apply
from schemas import events

STYLES, TRACKS, LISTENERS = 6, 48, 40
Histories = dict[str, bytes]


def user(number: int) -> str:
    """Return a user id."""
    return hashlib.blake2b(f"user:{number}".encode(), digest_size=16).hexdigest()


def play(track_id: int, time_ms: int, *, heard: float = 1.0, seq: int = 0) -> events.Play:
    """Return a play of a track of three minutes, heard to that share."""
    return events.Play(
        session="s",
        seq=seq,
        client_time_ms=time_ms,
        server_time_ms=time_ms,
        track_id=track_id,
        listened_ms=int(180_000 * heard),
        track_ms=180_000,
        end_reason="finished" if heard == 1.0 else "skipped",
    )


def imported(track_id: int, count: int) -> events.ImportedListens:
    """Return imported listens without a time."""
    return events.ImportedListens(
        session="s", seq=0, client_time_ms=0, server_time_ms=1, source="test", track_id=track_id, count=count
    )


def tasteful(listeners: int = LISTENERS, seed: int = 3, *, timed: bool = True) -> Histories:
    """Return histories like the demo's: 48 tracks in six styles, each listener fond of two styles.

    Of a listener's 60 plays, nine in ten are of a liked style (track id modulo 6).
    """
    random = np.random.default_rng(seed)
    found = {}
    for number in range(listeners):
        liked = random.choice(STYLES, 2, replace=False)
        history = EMPTY
        for turn in range(60):
            style = random.choice(liked) if random.random() < 0.9 else random.integers(STYLES)
            track_id = int(1 + style + STYLES * random.integers(TRACKS // STYLES))
            time_ms = 1_700_000_000_000 + turn * 3_600_000
            event = play(track_id, time_ms) if timed else imported(track_id, 1 + turn)
            history = apply(history, event)
        found[user(number)] = history
    return found
