"""A list without a model: chosen genres, charts, and a seeded draw from the catalogue."""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from recommender.catalogue import Catalogue, Charts, chart_rows, genre_chart_rows
from recommender.exploration import Numbers, picked
from recommender.selection import Selection
from recommender.standing import Standing
from schemas.recommendations import Reason


class Placed(NamedTuple):
    """Score and reasons of a placed track, and the probability with which it was drawn."""

    score: float
    reasons: list[Reason]
    propensity: float | None = None


class ColdStart:
    """Places tracks for one user.

    The order is: charted tracks of chosen genres (from their own charts too, which count genres below them),
    drawn tracks of chosen genres, charts, drawn tracks.

    Parameters
    ----------
    numbers : the user's random numbers
    """

    def __init__(self, catalogue: Catalogue, charts: Charts, standing: Standing, numbers: Numbers) -> None:
        self._catalogue = catalogue
        self._charted = chart_rows(catalogue, charts)
        self._genre_charts = [genre_chart_rows(catalogue, charts, int(key)) for key in standing.genres]
        self._most = self._charted[0][1] if self._charted else 0
        self._numbers = numbers
        self._standing = standing
        self._artists = {int(artist) for artist in standing.hidden_artists}
        chosen = np.isin(catalogue.genre_keys, standing.genres)
        self._tasted: NDArray[np.int64] = np.unique(catalogue.genre_rows[chosen])

    def fill(self, selection: Selection, *, same_second: bool) -> dict[int, Placed]:
        """Take tracks until nothing is missing or nothing is left; return what was placed, by row.

        Parameters
        ----------
        same_second : whether tracks of the newest second may come
        """
        placed: dict[int, Placed] = {}
        ids = self._standing.barred(same_second=not same_second)
        barred = set(self._catalogue.rows(ids).tolist())
        taste = [Reason(kind="taste")]
        self._take_charted(selection, self._charted_of_taste(), taste, barred, placed)
        self._draw(selection, self._tasted, taste, barred, placed)
        self._take_charted(selection, self._charted, [], barred, placed)
        if selection.missing > 0:
            every = np.arange(len(self._catalogue.track_ids))
            self._draw(selection, every, [Reason(kind="discovery")], barred, placed)
        return placed

    def _charted_of_taste(self) -> list[tuple[int, int]]:
        """Return (row, count) of what the charts hold of chosen genres: of the overall one, and of theirs."""
        tasted = set(self._tasted.tolist())
        found = {row: count for row, count in self._charted if row in tasted}
        for charted in self._genre_charts:
            found.update(charted)  # a track has the same count in every chart
        return sorted(found.items(), key=lambda charted: (-charted[1], charted[0]))

    def _take_charted(
        self,
        selection: Selection,
        charted: Iterable[tuple[int, int]],
        reasons: list[Reason],
        barred: set[int],
        placed: dict[int, Placed],
    ) -> None:
        if selection.missing <= 0:
            return
        for row, count in charted:
            artist = int(self._catalogue.artist_ids[row])
            if row in barred or artist in self._artists or not selection.take(row, artist):
                continue
            share = round(count / self._most, 6) if self._most else 0.0
            placed[row] = Placed(share, [*reasons, Reason(kind="popular", count=count)])
            if selection.missing <= 0:
                return

    def _draw(
        self,
        selection: Selection,
        rows: NDArray[np.int64],
        reasons: list[Reason],
        barred: set[int],
        placed: dict[int, Placed],
    ) -> None:
        """Draw uniformly among those of ``rows`` that can be taken, one after the other."""
        if selection.missing <= 0 or not len(rows):
            return
        can = self._can_be_taken(selection, barred)
        left = int(np.count_nonzero(can[rows]))
        for row in picked(rows, self._numbers):
            if selection.missing <= 0 or not left:
                return
            if can[row]:
                artist = int(self._catalogue.artist_ids[row])
                selection.take(row, artist)
                placed[row] = Placed(0.0, reasons, 1.0 / left)
                can[row] = False
                if selection.full(artist):
                    can[self._catalogue.artist_ids == artist] = False
                left = int(np.count_nonzero(can[rows]))

    def _can_be_taken(self, selection: Selection, barred: set[int]) -> NDArray[np.bool_]:
        """Say of each row of the catalogue whether it can be taken: bool [n]."""
        artists = self._catalogue.artist_ids
        can = np.ones(len(artists), bool)
        can[[row for row in barred if row >= 0]] = False
        can[list(selection.taken)] = False
        for artist in {*self._artists, *selection.full_artists()}:
            can[artists == artist] = False
        return can
