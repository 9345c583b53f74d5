"""One history -> what ALS and the judgement see of it. Pure; Spark calls it for batches of a part."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from recommender.encoding import History, Interactions
from recommender.history import MAX_INTERACTIONS
from recommender.strength import strengths
from training.configuration import TrainingConfig

KEPT, IMPOSSIBLE_RATE, NO_POSITIVE = "kept", "impossible_rate", "no_positive"
_DAY_S = 86_400
_LEAST_TO_SPLIT = 3  # positive interactions below which nothing of a user is hidden

PREPARED = pa.schema(
    [
        ("user_id", pa.string()),
        ("outcome", pa.string()),
        ("clipped", pa.int32()),
        ("timed", pa.bool_()),
        ("ticket", pa.int64()),
        ("track_ids", pa.list_(pa.int64())),
        ("strengths", pa.list_(pa.float32())),
        ("held_out", pa.list_(pa.bool_())),
        ("last_s", pa.list_(pa.int64())),
        ("first_s", pa.list_(pa.int64())),
    ]
)
"""One row per user. ``ticket`` is a seeded draw that orders the users who may be judged."""


@dataclass(frozen=True)
class PreparedUser:
    """One user's interactions; all arrays have n rows, ordered by track id.

    Attributes
    ----------
    outcome : ``KEPT``, or the rule that left the user out (the arrays are then empty)
    clipped : strengths that were cut to the maximum
    timed : the held-out ones are the latest (else drawn)
    track_ids : int64 [n], ascending
    values : float32 [n], signed, never 0
    held_out : bool [n], only positive ones
    last_s : int64 [n], seconds since 1970; 0 where the time is not known
    first_s : int64 [n], seconds since 1970 before which nothing happened; 0 where that is not known
    """

    outcome: str
    clipped: int
    timed: bool
    track_ids: NDArray[np.int64]
    values: NDArray[np.float32]
    held_out: NDArray[np.bool_]
    last_s: NDArray[np.int64]
    first_s: NDArray[np.int64]


def prepare_user(history: History, user_id: str, config: TrainingConfig) -> PreparedUser:
    """Apply the outlier rules and draw the split.

    Rules, in order: a user whose listens in Segue exceed ``max_listens_per_day`` times the days between
    the first and the last of them is a machine; a user without a positive interaction says nothing about
    taste; a strength beyond ``max_strength`` is cut.
    """
    if listens_per_day(history.interactions) > config.max_listens_per_day:
        return _left_out(IMPOSSIBLE_RATE)
    track_ids, signed = strengths(history)
    if not (signed > 0).any():
        return _left_out(NO_POSITIVE)
    values = np.clip(signed, -config.max_strength, config.max_strength)
    last_s = last_seen_s(history.interactions, track_ids)
    held_out, timed = hold_out(values, last_s, seeded(config.seed, "split", user_id), config.held_out_share)
    return PreparedUser(
        KEPT,
        int((values != signed).sum()),
        timed,
        track_ids,
        values.astype(np.float32),
        held_out,
        last_s,
        _surely_new(history.interactions, track_ids, last_s),
    )


def listens_per_day(rows: Interactions) -> float:
    """Return listens in Segue per day of the time that the interactions span (at least one day)."""
    here = rows[(rows["listens"] > 0) & (rows["last_s"] > 0)]
    if len(here) == 0:
        return 0.0
    span_s = int(here["last_s"].max()) - int(here["last_s"].min())
    return float(here["listens"].sum(dtype=np.int64) / max(1.0, span_s / _DAY_S))


def hold_out(
    values: NDArray[np.floating], last_s: NDArray[np.int64], random: np.random.Generator, share: float
) -> tuple[NDArray[np.bool_], bool]:
    """Choose the positive interactions that a judgement hides.

    The latest where at least half of the positive ones have a time (those without one count as oldest),
    else a random draw. ``share`` of them, rounded, at least one; none for fewer than three.

    Returns
    -------
    held_out : bool [n]
    timed : whether the latest were taken
    """
    positive = np.flatnonzero(values > 0)
    held_out = np.zeros(len(values), bool)
    timed = bool(2 * (last_s[positive] > 0).sum() >= len(positive))
    if len(positive) < _LEAST_TO_SPLIT:
        return held_out, timed
    count = max(1, round(share * len(positive)))
    drawn = random.permutation(len(positive))
    order = np.lexsort((drawn, last_s[positive])) if timed else drawn
    held_out[positive[order[-count:]]] = True
    return held_out, timed


def prepare_batches(batches: Iterator[pa.RecordBatch], config: TrainingConfig) -> Iterator[pa.RecordBatch]:
    """Turn record batches of a part (user_id, history) into batches of ``PREPARED``."""
    for batch in batches:
        columns = batch.to_pydict()
        users = [
            prepare_user(History.from_bytes(data), user_id, config)
            for user_id, data in zip(columns["user_id"], columns["history"], strict=True)
        ]
        yield _as_batch(columns["user_id"], users, config.seed)


def _as_batch(user_ids: list[str], users: list[PreparedUser], seed: int) -> pa.RecordBatch:
    offsets = np.zeros(len(users) + 1, np.int32)
    np.cumsum([len(user.track_ids) for user in users], out=offsets[1:])

    def flat(name: str, kind: pa.DataType) -> pa.ListArray:
        parts = [getattr(user, name) for user in users]
        values = np.concatenate(parts) if parts else np.empty(0)
        return pa.ListArray.from_arrays(pa.array(offsets), pa.array(values, kind))

    return pa.RecordBatch.from_arrays(
        [
            pa.array(user_ids, pa.string()),
            pa.array([user.outcome for user in users], pa.string()),
            pa.array([user.clipped for user in users], pa.int32()),
            pa.array([user.timed for user in users], pa.bool_()),
            pa.array([_ticket(seed, user_id) for user_id in user_ids], pa.int64()),
            flat("track_ids", pa.int64()),
            flat("values", pa.float32()),
            flat("held_out", pa.bool_()),
            flat("last_s", pa.int64()),
            flat("first_s", pa.int64()),
        ],
        schema=PREPARED,
    )


def _left_out(rule: str) -> PreparedUser:
    ids, values, held_out = np.empty(0, np.int64), np.empty(0, np.float32), np.empty(0, bool)
    return PreparedUser(rule, 0, False, ids, values, held_out, ids, ids)


def last_seen_s(rows: Interactions, track_ids: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the latest time of each track over its sources: int64 [tracks], 0 where none is known."""
    latest = np.zeros(len(track_ids), np.int64)
    if len(track_ids) == 0:
        return latest
    at, known = _places(rows, track_ids)
    np.maximum.at(latest, at[known], rows["last_s"][known].astype(np.int64))
    return latest


def first_seen_s(
    rows: Interactions, track_ids: NDArray[np.int64], last_s: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Return the time of each track of which the history tells one event: int64 [tracks].

    A history keeps the latest time of a track. Where one listen, skip, import, like or choice is all that
    it tells, that was the first one too, unless the user took back what was before; else 0: it is not known.
    """
    if len(track_ids) == 0:
        return last_s
    flags = np.unpackbits(rows["flags"][:, None], axis=1).sum(axis=1)
    told = rows["listens"].astype(np.int64) + rows["skips"] + rows["imported"] + flags
    at, known = _places(rows, track_ids)
    events = np.bincount(at[known], weights=told[known], minlength=len(track_ids))
    return np.where(events == 1, last_s, 0)


def _places(rows: Interactions, track_ids: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return where each row's track stands among ascending ids (one at least), and whether it does."""
    ids = rows["track_id"].astype(np.int64)
    at = np.minimum(np.searchsorted(track_ids, ids), len(track_ids) - 1)
    return at, track_ids[at] == ids


def _surely_new(
    rows: Interactions, track_ids: NDArray[np.int64], last_s: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Return ``first_seen_s``, 0 for all tracks of a full history: it may have dropped an earlier meeting."""
    if len(rows) >= MAX_INTERACTIONS:
        return np.zeros_like(last_s)
    return first_seen_s(rows, track_ids, last_s)


def _digest(seed: int, purpose: str, user_id: str) -> bytes:
    return hashlib.blake2b(f"{seed}:{purpose}:{user_id}".encode(), digest_size=8).digest()


def seeded(seed: int, purpose: str, user_id: str) -> np.random.Generator:
    """Return a generator that depends on these three alone."""
    return np.random.default_rng(int.from_bytes(_digest(seed, purpose, user_id), "big"))


def _ticket(seed: int, user_id: str) -> int:
    return int.from_bytes(_digest(seed, "judged", user_id), "big") >> 1
