"""From ordered candidates to the tracks of a list: artist cap, familiar tracks, seeded draws."""

import json
from collections import Counter
from collections.abc import Iterable
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

NUMBERS = 512
_PER = 20


class Selection:
    """The tracks taken so far, as rows of the catalogue, in order.

    Parameters
    ----------
    length : tracks wanted
    artist_cap : most tracks of one artist in twenty
    """

    def __init__(self, length: int, artist_cap: int) -> None:
        self.taken: dict[int, None] = {}
        self._length = length
        self._cap = artist_cap * -(-length // _PER)
        self._artists: Counter[int] = Counter()

    @property
    def missing(self) -> int:
        """How many tracks are still wanted."""
        return self._length - len(self.taken)

    def take(self, row: int, artist: int) -> bool:
        """Take a track unless it is taken, or its artist has enough; say whether it was taken."""
        if row in self.taken or self._artists[artist] >= self._cap:
            return False
        self.taken[row] = None
        self._artists[artist] += 1
        return True

    def take_until(self, candidates: Iterable[tuple[int, int]], left: int = 0) -> None:
        """Take ``(row, artist)`` in order until only ``left`` are missing."""
        if self.missing > left:
            for row, artist in candidates:
                if self.take(row, artist) and self.missing <= left:
                    return

    def lift_cap(self) -> None:
        """From now on any number of tracks of one artist: the last resort of a list that is too short."""
        self._cap = self._length


def random_numbers(user_id: str, offset: int, model_id: str | None) -> NDArray[np.uint64]:
    """Return ``NUMBERS`` uniform 64-bit numbers that depend on the arguments alone.

    Only the raw stream of PCG64 is used: NumPy keeps it stable, unlike its distributions (NEP 19).
    """
    named = json.dumps([user_id, offset, model_id]).encode()
    seed = int.from_bytes(blake2b(named, digest_size=16).digest(), "little")
    return np.random.PCG64(seed).random_raw(NUMBERS)


def shuffled(rows: list[int], numbers: NDArray[np.uint64]) -> list[int]:
    """Return the first rows, as many as there are numbers, in random order."""
    order = np.argsort(numbers[: len(rows)], kind="stable")
    return [rows[at] for at in order.tolist()]
