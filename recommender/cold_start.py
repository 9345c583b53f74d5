"""A list without a model: chosen genres, charts, and a seeded draw from the catalogue."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from recommender.catalogue import Catalogue, Charts, chart_rows
from recommender.selection import Selection, shuffled
from recommender.standing import Standing
from schemas.recommendations import Reason

Placed = tuple[float, list[Reason]]
"""Score and reasons of a placed track."""


class ColdStart:
    """Places tracks for one user.

    The order is: charted tracks of chosen genres, drawn tracks of chosen genres, charts, drawn tracks.

    Parameters
    ----------
    numbers : uint64 [k], the user's random numbers (``selection.random_numbers``)
    """

    def __init__(
        self, catalogue: Catalogue, charts: Charts, standing: Standing, numbers: NDArray[np.uint64]
    ) -> None:
        self._catalogue = catalogue
        self._charted = chart_rows(catalogue, charts)
        self._most = self._charted[0][1] if self._charted else 0
        self._numbers = numbers
        self._forbidden = set(catalogue.rows(standing.forbidden).tolist())
        self._same_second = set(catalogue.rows(standing.same_second).tolist())
        self._artists = {int(artist) for artist in standing.hidden_artists}
        chosen = np.isin(catalogue.genre_keys, standing.genres)
        self._tasted: list[int] = np.unique(catalogue.genre_rows[chosen]).tolist()

    def fill(self, selection: Selection, *, same_second: bool) -> dict[int, Placed]:
        """Take tracks until nothing is missing or nothing is left; return what was placed, by row.

        Parameters
        ----------
        same_second : whether tracks of the newest second may come
        """
        placed: dict[int, Placed] = {}
        if selection.missing <= 0:
            return placed
        for row, score, reasons in self._ordered():
            artist = int(self._catalogue.artist_ids[row])
            if row in self._forbidden or artist in self._artists:
                continue
            if not same_second and row in self._same_second:
                continue
            if selection.take(row, artist):
                placed[row] = (score, reasons)
                if selection.missing <= 0:
                    break
        return placed

    def _ordered(self) -> Iterator[tuple[int, float, list[Reason]]]:
        tasted = set(self._tasted)
        taste = Reason(kind="taste")
        for row, count in self._charted:
            if row in tasted:
                yield row, self._share(count), [taste, Reason(kind="popular", count=count)]
        for row in self._drawn(self._tasted):
            yield row, 0.0, [taste]
        for row, count in self._charted:
            yield row, self._share(count), [Reason(kind="popular", count=count)]
        for row in self._drawn(range(len(self._catalogue.track_ids))):
            yield row, 0.0, [Reason(kind="discovery")]

    def _share(self, count: int) -> float:
        return round(count / self._most, 6) if self._most else 0.0

    def _drawn(self, rows: "list[int] | range") -> Iterator[int]:
        if not rows:
            return
        # picks with repetition first: a whole shuffle of a large catalogue is rarely needed
        for at in (self._numbers % len(rows)).tolist():
            yield rows[at]
        seed = int(self._numbers[-1])
        yield from shuffled(list(rows), np.random.PCG64(seed).random_raw(len(rows)))
