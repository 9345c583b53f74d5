"""The tracks taken for a list or a rail, under the artist cap."""

from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet

_PER = 20


class Selection:
    """The tracks taken so far, as rows of the catalogue, in order.

    Parameters
    ----------
    length : tracks wanted
    artist_cap : most tracks of one artist in twenty
    elsewhere : rows that stand on the page already: never taken
    """

    def __init__(self, length: int, artist_cap: int, elsewhere: AbstractSet[int] = frozenset()) -> None:
        self.taken: dict[int, None] = {}
        self._length = length
        self._cap = artist_cap * -(-length // _PER)
        self._artists: dict[int, int] = {}
        self._elsewhere = elsewhere

    @property
    def missing(self) -> int:
        """How many tracks are still wanted."""
        return self._length - len(self.taken)

    def take(self, row: int, artist: int) -> bool:
        """Take a track unless it is taken, or its artist has enough; say whether it was taken."""
        if row in self.taken or row in self._elsewhere:
            return False
        of_artist = self._artists.get(artist, 0)
        if of_artist >= self._cap:
            return False
        self.taken[row] = None
        self._artists[artist] = of_artist + 1
        return True

    def take_until(self, candidates: Iterable[tuple[int, int]], left: int = 0) -> None:
        """Take ``(row, artist)`` in order until only ``left`` are missing."""
        if self.missing > left:
            for row, artist in candidates:
                if self.take(row, artist) and self.missing <= left:
                    return

    def allowed(self, rows: Sequence[int], artists: Sequence[int]) -> list[bool]:
        """Say of each track, each row once, whether ``take`` would take it."""
        gone = self.taken.keys() | self._elsewhere
        can = [row not in gone for row in rows]
        for artist in self.full_artists():
            at = -1
            for _ in range(artists.count(artist)):
                at = artists.index(artist, at + 1)
                can[at] = False
        return can

    def full(self, artist: int) -> bool:
        """Say whether an artist has enough tracks."""
        return self._artists.get(artist, 0) >= self._cap

    def full_artists(self) -> list[int]:
        """Return the artists that have enough tracks."""
        return [artist for artist, count in self._artists.items() if count >= self._cap]

    def lift_cap(self) -> None:
        """From now on any number of tracks of one artist: the last resort of a list that is too short."""
        self._cap = self._length
