"""One user's list from a solved equation and the scores of all items."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import compress, islice
from itertools import count as count_up
from operator import not_

import numpy as np
from numpy.typing import NDArray

from recommender.candidates import RankingSpace, best, score_exactly
from recommender.catalogue import Charts
from recommender.cold_start import ColdStart
from recommender.exploration import Numbers, draw, uniform_weights
from recommender.foldin import Solution
from recommender.pools import Candidates
from recommender.ranking_config import RankingConfig
from recommender.selection import Selection
from recommender.standing import Standing
from schemas.recommendations import Item

_WIDEN = 8


@dataclass(frozen=True, eq=False, slots=True)
class Known:
    """A user whom the model knows.

    Attributes
    ----------
    solution : the user's solved equation
    stands : how the tracks of the history stand with the user
    items, rows : int64 [t], rows of the model and of the catalogue of those tracks, -1 where there is none
    candidates : the best new items, as many as ``config.pool`` or more, and all that are known
    numbers : the user's random numbers
    """

    solution: Solution
    stands: Standing
    items: NDArray[np.int64]
    rows: NDArray[np.int64]
    candidates: Candidates
    numbers: Numbers


@dataclass(frozen=True, eq=False, slots=True)
class Choice:
    """What a list will hold.

    Attributes
    ----------
    candidates : what it was chosen from
    chosen : of them, ascending: the list's order
    discovered : propensity of those that were drawn, by row of the catalogue
    filled : what the model has no score for, by row of the catalogue; it comes last
    """

    candidates: Candidates
    chosen: list[int]
    discovered: dict[int, float]
    filled: dict[int, Item]

    def taken(self) -> set[int]:
        """Return the rows of the catalogue that stand in the list."""
        return {self.candidates.rows[at] for at in self.chosen} | self.filled.keys()


def choose(space: RankingSpace, charts: Charts, user: Known, config: RankingConfig) -> Choice:
    """Return what the list of a user will hold whom the model knows."""
    candidates, count = user.candidates.with_new(config.pool), config.pool
    while True:
        selection = Selection(config.length, config.artist_cap)
        discovered = _choose(selection, candidates, user.numbers, config)
        if not selection.missing or candidates.exhausted:
            break
        count *= _WIDEN
        candidates = _wider(space, user, count)
    filled: dict[int, Item] = {}
    if selection.missing:
        cold = ColdStart(space.catalogue, charts, user.stands, user.numbers)
        filled = _fill(selection, candidates, cold, space)
    taken = selection.taken.keys() - filled.keys()
    chosen = list(compress(count_up(), map(taken.__contains__, candidates.rows)))
    return Choice(candidates, chosen, discovered, filled)


def _wider(space: RankingSpace, user: Known, count: int) -> Candidates:
    """Return the best ``count`` new items, and those that are known as before."""
    before = user.candidates
    known = before.items[np.array(before.known, bool)]
    new, new_scores = best(space.model, user.solution.user_factors, count, before.excluded)
    items = np.concatenate([new, known])
    scores = np.concatenate([new_scores, score_exactly(space.model, known, user.solution.user_factors)])
    order = np.lexsort((items, -scores))
    items = items[order]
    newest = user.items[user.stands.same_second]
    return Candidates(
        items=items,
        rows=space.catalogue_rows[items].tolist(),
        artists=space.artists[items].tolist(),
        scores=scores[order].tolist(),
        known=(order >= len(new)).tolist(),
        same_second=np.isin(items, newest).tolist(),
        new=len(new),
        exhausted=len(new) < count,
        excluded=before.excluded,
    )


def _choose(
    selection: Selection, candidates: Candidates, numbers: Numbers, config: RankingConfig
) -> dict[int, float]:
    """Take the best, then discoveries, then what is left; return rows and propensities of the discoveries."""
    discoveries = round(config.discovery_share * config.length)
    _take_best(selection, candidates, discoveries, config)
    discovered: dict[int, float] = {}
    if discoveries:
        new = list(map(not_, candidates.known))
        rows = list(islice(compress(candidates.rows, new), config.pool))
        artists = list(islice(compress(candidates.artists, new), config.pool))
        discovered = draw(selection, rows, artists, uniform_weights(len(rows)), numbers, discoveries)
    if selection.missing:
        _take_rest(selection, candidates, same_second=False)
    return discovered


def _take_best(selection: Selection, candidates: Candidates, left: int, config: RankingConfig) -> None:
    """Take new tracks with a fair score, and known ones within their share, until ``left`` are missing."""
    known_places = int(config.known_share * config.length)
    greatest = max(candidates.scores[:1], default=0.0)
    fair = config.fair_score * greatest if greatest > 0 else -np.inf
    missing = selection.missing
    each = zip(
        candidates.rows,
        candidates.artists,
        candidates.scores,
        candidates.known,
        candidates.same_second,
        strict=True,
    )
    for row, artist, score, known, newest in each:
        if missing <= left:
            return
        allowed = not newest and (known_places > 0 if known else score >= fair)
        if allowed and selection.take(row, artist):
            missing -= 1
            known_places -= known


def _take_rest(selection: Selection, candidates: Candidates, *, same_second: bool) -> None:
    pairs = zip(candidates.rows, candidates.artists, candidates.same_second, strict=True)
    selection.take_until((row, artist) for row, artist, newest in pairs if same_second or not newest)


def _fill(
    selection: Selection, candidates: Candidates, cold: ColdStart, space: RankingSpace
) -> dict[int, Item]:
    """Take what the model has no row for; then let the artist cap go; then the newest second."""
    placed = cold.fill(selection, same_second=False)
    selection.lift_cap()
    for same_second in (False, True):
        _take_rest(selection, candidates, same_second=same_second)
        placed |= cold.fill(selection, same_second=same_second)
    ids: Sequence[int] = space.catalogue.track_ids[list(placed)].tolist()
    # a share of the charts does not compare with a score of the model
    return {
        row: Item(track_id=track_id, score=0.0, reasons=one.reasons, propensity=one.propensity)
        for track_id, (row, one) in zip(ids, placed.items(), strict=True)
    }
