"""Who made the tracks: for how unequally lists treat artists."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recommender.model import rows_of


@dataclass(frozen=True)
class Artists:
    """Who made the tracks of the catalogue.

    Attributes
    ----------
    track_ids : int64 [n], ascending
    artist_ids : int64 [n]
    """

    track_ids: NDArray[np.int64]
    artist_ids: NDArray[np.int64]

    def of(self, track_ids: NDArray[np.int64]) -> NDArray[np.int64]:
        """Number the artists of some tracks: int64, from 0. A track outside the catalogue has its own."""
        if len(self.track_ids) == 0:
            return np.arange(len(track_ids))
        at = rows_of(self.track_ids, track_ids)
        named = np.where(at >= 0, self.artist_ids[at], -1 - np.arange(len(track_ids)))
        return np.unique(named, return_inverse=True)[1]


NO_ARTISTS = Artists(np.empty(0, np.int64), np.empty(0, np.int64))
