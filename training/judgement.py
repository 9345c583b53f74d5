"""How good a model is: each judged user's list over the full catalogue, against what was held out.

Every contestant ranks the same users over the same tracks, without the tracks that the user's training
interactions contain. Scores come from blocked matrix products, users from the same fold-in that serves them.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from recommender.foldin import fold_in
from recommender.model import Model, rows_of
from training.interactions import flat

LENGTH = 20
_BLOCK = 256

Scores = Callable[[int, int], NDArray[np.float32]]
"""``scores(start, end)`` -> float32 [end - start, items]; -inf for an item that cannot be ranked."""


@dataclass(frozen=True)
class Judged:
    """The users of a judgement; lists are CSR: row u is ``[offsets[u]:offsets[u + 1]]``.

    Attributes
    ----------
    track_ids : int64 [items], the ranked catalogue, ascending
    offsets : int64 [users + 1]
    items : int64 [n], index into ``track_ids``, -1 for a track that is not ranked
    tracks : int64 [n]
    values : float64 [n], strengths
    held_out : bool [n]
    first_s : int64 [n], seconds since 1970 before which nothing happened; 0 where that is not known
    timed : bool [users]
    """

    track_ids: NDArray[np.int64]
    offsets: NDArray[np.int64]
    items: NDArray[np.int64]
    tracks: NDArray[np.int64]
    values: NDArray[np.float64]
    held_out: NDArray[np.bool_]
    first_s: NDArray[np.int64]
    timed: NDArray[np.bool_]

    @property
    def users(self) -> int:
        """Number of judged users."""
        return len(self.offsets) - 1

    @property
    def relevant(self) -> list[set[int]]:
        """Held-out items of each user, at least one."""
        return [
            set(self.items[start:end][self.held_out[start:end]].tolist())
            for start, end in zip(self.offsets[:-1], self.offsets[1:], strict=True)
        ]

    @property
    def split(self) -> str:
        """``time``, ``random``, or ``mixed``."""
        if self.timed.all():
            return "time"
        return "mixed" if self.timed.any() else "random"

    def training_strengths(self) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float64]]]:
        """Yield each user's interactions without those held out, for the fold-in."""
        for start, end in zip(self.offsets[:-1], self.offsets[1:], strict=True):
            shown = ~self.held_out[start:end]
            yield self.tracks[start:end][shown], self.values[start:end][shown]

    def held_out_since(self, time_s: float) -> NDArray[np.bool_]:
        """Say for each user whether all of what is held out began after ``time_s``: bool [users]."""
        older = self.held_out & (self.first_s <= time_s)
        found: NDArray[np.bool_] = np.add.reduceat(older.astype(np.int64), self.offsets[:-1]) == 0
        return found


def judged_from(table: pa.Table, track_ids: NDArray[np.int64]) -> Judged:
    """Return the arrays of the users that ``interactions.judged_users`` chose (at least one)."""
    columns = {name: table[name].combine_chunks() for name in table.column_names}
    tracks = flat(columns["track_ids"]).astype(np.int64)
    lengths = np.diff(columns["track_ids"].offsets.to_numpy())
    return Judged(
        track_ids=track_ids,
        offsets=np.concatenate(([0], np.cumsum(lengths))).astype(np.int64),
        items=rows_of(track_ids, tracks),
        tracks=tracks,
        values=flat(columns["strengths"]).astype(np.float64),
        held_out=flat(columns["held_out"]).astype(bool),
        first_s=flat(columns["first_s"]).astype(np.int64),
        timed=columns["timed"].to_numpy(zero_copy_only=False).astype(bool),
    )


def model_scores(model: Model, judged: Judged) -> Scores:
    """Score with a model. A user that it cannot fold in has no list, and so no hit."""
    users = fold_in(model, judged.training_strengths()).astype(np.float32)
    at = model.rows(judged.track_ids)
    known = at >= 0
    columns = np.ascontiguousarray(model.factor_rows[at[known]].T)

    def scores(start: int, end: int) -> NDArray[np.float32]:
        found = np.full((end - start, len(at)), -np.inf, np.float32)
        found[:, known] = np.nan_to_num(users[start:end] @ columns, nan=-np.inf)
        return found

    return scores


def popularity_scores(listeners: NDArray[np.int64]) -> Scores:
    """Score every user alike by the number of listeners in training."""

    def scores(start: int, end: int) -> NDArray[np.float32]:
        return np.broadcast_to(listeners.astype(np.float32), (end - start, len(listeners))).copy()

    return scores


def ranked(scores: Scores, judged: Judged) -> NDArray[np.int64]:
    """Return each user's best ``LENGTH`` items, best first, ties by track id: int64 [users, LENGTH].

    Items of the user's training interactions are left out; -1 where fewer can be ranked.
    """
    found = np.full((judged.users, LENGTH), -1, np.int64)
    for start in range(0, judged.users, _BLOCK):
        end = min(judged.users, start + _BLOCK)
        block = scores(start, end)
        user, item, held_out = _block_rows(judged, start, end)
        block[user[~held_out], item[~held_out]] = -np.inf
        best = _best(block)
        found[start:end, : best.shape[1]] = best
    return found


def _block_rows(
    judged: Judged, start: int, end: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]:
    span = slice(judged.offsets[start], judged.offsets[end])
    user = np.repeat(np.arange(end - start), np.diff(judged.offsets[start : end + 1]))
    item, held_out = judged.items[span], judged.held_out[span]
    known = item >= 0
    return user[known], item[known], held_out[known]


def _best(block: NDArray[np.float32]) -> NDArray[np.int64]:
    """Return the best items of each row, best first, ties by index; -1 for -inf."""
    wanted = min(LENGTH, block.shape[1])
    least = np.partition(block, block.shape[1] - wanted, axis=1)[:, block.shape[1] - wanted]
    best = np.full((len(block), wanted), -1, np.int64)
    for row, threshold in enumerate(least):
        candidates = np.flatnonzero(block[row] >= threshold)
        candidates = candidates[np.isfinite(block[row, candidates])]
        order = np.argsort(-block[row, candidates], kind="stable")[:wanted]
        best[row, : len(order)] = candidates[order]
    return best
