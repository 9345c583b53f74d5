"""Seeded draws whose probabilities are known.

Draws are made one after the other, without replacement. With w the integer weights of all candidates that can
be taken at that moment, candidate i is taken with probability

    w_i / sum(w)

and that number is its *propensity* (Plackett 1975, Luce 1959: choice by weight among what is left). A
candidate that the rules forbid, because of its artist or because it stands on the page already, has weight 0.
Equal weights are a uniform draw without replacement. So a log of lists can answer what another ranking would
have got: each outcome counts 1 / propensity times (Horvitz and Thompson 1952).

Weights are integers, and random numbers are digests or the raw stream of PCG64, which NumPy keeps stable,
unlike its distributions (NEP 19): equal arguments give equal draws on every machine. A 64-bit number is
scaled by a product of integers, so a probability is off by less than sum(w) / 2^64.
"""

import json
import struct
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from itertools import accumulate, compress
from operator import mul

import numpy as np
from numpy.typing import NDArray

from recommender.selection import Selection

_PICKS = 512
_FLATNESS = 20  # places after which a weight has fallen to the half
_ONE = 2**20
_TRIES = 8
_WORDS = struct.Struct("<8Q")


class Numbers:
    """Random numbers that depend on user, offset and model alone; every one is handed out once."""

    def __init__(self, user_id: str, offset: int, model_id: str | None) -> None:
        named = json.dumps([user_id, offset, model_id]).encode()
        self._key = blake2b(named, digest_size=16).digest()
        self._digests = 0
        self._ready: list[int] = []
        self._stream: np.random.PCG64 | None = None

    def one(self) -> int:
        """Return the next uniform 64-bit number: of digests of a counter, under the seed as key."""
        if not self._ready:
            digest = blake2b(self._digests.to_bytes(8, "little"), key=self._key).digest()
            self._digests += 1
            self._ready.extend(_WORDS.unpack(digest))
        return self._ready.pop()

    def many(self, count: int) -> NDArray[np.uint64]:
        """Return the next ``count`` uniform 64-bit numbers: the raw stream of PCG64, uint64 [count]."""
        if self._stream is None:
            self._stream = np.random.PCG64(int.from_bytes(self._key, "little"))
        return self._stream.random_raw(count)


@dataclass(frozen=True, slots=True)
class Weights:
    """Integer weights of candidates, at least 1 each, and their sums up to each candidate."""

    each: tuple[int, ...]
    sums: tuple[int, ...]


@lru_cache(maxsize=1024)
def uniform_weights(count: int) -> Weights:
    """Return equal weights."""
    return Weights((1,) * count, tuple(range(1, count + 1)))


@lru_cache(maxsize=1024)
def falling_weights(count: int) -> Weights:
    """Return weights that favour the front, in proportion to 1 / (20 + place from 0)."""
    each = tuple(_ONE // (_FLATNESS + place) for place in range(count))
    return Weights(each, tuple(accumulate(each)))


def draw(
    selection: Selection,
    rows: Sequence[int],
    artists: Sequence[int],
    weights: Weights,
    numbers: Numbers,
    count: int,
) -> dict[int, float]:
    """Take up to ``count`` candidates into ``selection``; return rows and propensities in the order drawn.

    Parameters
    ----------
    rows, artists : of the candidates
    weights : as many
    """
    drawn: dict[int, float] = {}
    can = selection.allowed(rows, artists)
    left = sum(compress(weights.each, can))
    while left and len(drawn) < count and selection.missing > 0:
        at = _one(can, weights, left, numbers)
        drawn[rows[at]] = weights.each[at] / left
        selection.take(rows[at], artists[at])
        gone = [at]
        if selection.full(artists[at]):
            gone += [i for i, artist in enumerate(artists) if artist == artists[at] and can[i] and i != at]
        for i in gone:
            can[i] = False
            left -= weights.each[i]
    return drawn


def _one(can: Sequence[bool], weights: Weights, left: int, numbers: Numbers) -> int:
    """Return one of the candidates that can be taken, by weight; ``left`` is the sum of their weights."""
    # whoever draws among all until one can be taken draws by weight among those that can
    for _ in range(_TRIES):
        at = bisect_right(weights.sums, numbers.one() * weights.sums[-1] >> 64)
        if can[at]:
            return at
    target, sums = numbers.one() * left >> 64, accumulate(map(mul, weights.each, can))
    return next(at for at, reached in enumerate(sums) if reached > target)


def picked(rows: NDArray[np.int64], numbers: Numbers) -> Iterator[int]:
    """Yield rows in random order, some of them again; at last each has come.

    Whoever takes what it can of them draws uniformly among what it can take: what comes next is independent
    of what came before.

    Parameters
    ----------
    rows : int64 [n], not empty, each once
    """
    # picks with repetition first: a whole shuffle of a large catalogue is rarely needed
    yield from rows[(numbers.many(_PICKS) % np.uint64(len(rows))).astype(np.int64)].tolist()
    yield from rows[np.argsort(numbers.many(len(rows)), kind="stable")].tolist()
