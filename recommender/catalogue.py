"""What can be recommended: the tracks with their artists and genres, and the charts."""

from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from recommender.model import rows_of


def _no_keys() -> NDArray[np.uint32]:
    return np.empty(0, np.uint32)


def _no_rows() -> NDArray[np.int64]:
    return np.empty(0, np.int64)


@dataclass(frozen=True, eq=False)
class Catalogue:
    """The tracks of one catalogue version. Make one object per version: indexes are kept for each object.

    Attributes
    ----------
    version : of ``CatalogueState``
    track_ids : int64 [n], ascending, each once
    artist_ids : int64 [n]
    genre_keys, genre_rows : uint32 [g], int64 [g]: row ``genre_rows[i]`` has genre ``genre_keys[i]``
        (``history.genre_key``); without them chosen genres have no effect on a cold start
    """

    version: str
    track_ids: NDArray[np.int64]
    artist_ids: NDArray[np.int64]
    genre_keys: NDArray[np.uint32] = field(default_factory=_no_keys)
    genre_rows: NDArray[np.int64] = field(default_factory=_no_rows)

    def rows(self, track_ids: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the row of each track, -1 for a track outside the catalogue."""
        if len(self.track_ids) == 0:
            return np.full(len(track_ids), -1, np.int64)
        return rows_of(self.track_ids, track_ids)


@dataclass(frozen=True, eq=False)
class Charts:
    """Most listened tracks, most listened first.

    Attributes
    ----------
    charts_id : hash of the items, None before the first charts
    track_ids : int64 [m]
    counts : int64 [m], listeners
    """

    charts_id: str | None
    track_ids: NDArray[np.int64]
    counts: NDArray[np.int64]

    @classmethod
    def empty(cls) -> "Charts":
        """Return the charts of a log without listens."""
        return cls(None, _no_rows(), _no_rows())


@lru_cache(maxsize=4)
def chart_rows(catalogue: Catalogue, charts: Charts) -> tuple[tuple[int, int], ...]:
    """Return ``(row of the catalogue, count)`` in the order of the charts; tracks outside are left out."""
    rows = catalogue.rows(charts.track_ids)
    inside = rows >= 0
    return tuple(zip(rows[inside].tolist(), charts.counts[inside].tolist(), strict=True))
