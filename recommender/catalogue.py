"""What can be recommended: the tracks with their artists and genres, and the charts."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple

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

    @classmethod
    def empty(cls) -> "Catalogue":
        """Return the catalogue in which nothing stands yet."""
        return cls("", _no_rows(), _no_rows())

    def rows(self, track_ids: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the row of each track, -1 for a track outside the catalogue."""
        if len(self.track_ids) == 0:
            return np.full(len(track_ids), -1, np.int64)
        return rows_of(self.track_ids, track_ids)


class Chart(NamedTuple):
    """Tracks with their listeners, most first, equal ones by track id: int64 [m] each."""

    track_ids: NDArray[np.int64]
    counts: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Charts:
    """Most listened tracks, most listened first. Make one object per id: rows are kept for each object.

    Attributes
    ----------
    charts_id : hash of all of it, None before the first charts
    track_ids : int64 [m]
    counts : int64 [m], listeners
    genres : the chart of each genre with all below it, by ``history.genre_key``
    """

    charts_id: str | None
    track_ids: NDArray[np.int64]
    counts: NDArray[np.int64]
    genres: Mapping[int, Chart] = field(default_factory=dict)

    @classmethod
    def empty(cls) -> "Charts":
        """Return the charts of a log without listens."""
        return cls(None, _no_rows(), _no_rows())


@lru_cache(maxsize=4)
def chart_rows(catalogue: Catalogue, charts: Charts) -> tuple[tuple[int, int], ...]:
    """Return ``(row of the catalogue, count)`` in the order of the charts; tracks outside are left out."""
    return _rows(catalogue, Chart(charts.track_ids, charts.counts))


@lru_cache(maxsize=256)
def genre_chart_rows(catalogue: Catalogue, charts: Charts, key: int) -> tuple[tuple[int, int], ...]:
    """Return the same of one genre's chart; nothing where it has none."""
    found = charts.genres.get(key)
    return () if found is None else _rows(catalogue, found)


def _rows(catalogue: Catalogue, chart: Chart) -> tuple[tuple[int, int], ...]:
    rows = catalogue.rows(chart.track_ids)
    inside = rows >= 0
    return tuple(zip(rows[inside].tolist(), chart.counts[inside].tolist(), strict=True))
