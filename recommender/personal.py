"""One user's list from a solved equation and the scores of all items."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recommender.candidates import RankingSpace, best, score_exactly
from recommender.catalogue import Charts
from recommender.cold_start import ColdStart
from recommender.explanation import top_shares
from recommender.foldin import Solution
from recommender.ranking_config import RankingConfig
from recommender.selection import Selection, shuffled
from recommender.standing import Standing
from schemas.recommendations import Item, Reason

_WIDEN = 8


@dataclass(frozen=True, eq=False, slots=True)
class _Candidates:
    """Allowed items, greatest score first, ties by track id."""

    items: list[int]  # rows of the model
    rows: list[int]  # rows of the catalogue
    artists: list[int]
    scores: list[float]
    known: list[bool]
    same_second: list[bool]
    exhausted: bool  # no allowed item is missing


def personal_list(
    space: RankingSpace,
    charts: Charts,
    solution: Solution,
    approximate: NDArray[np.float32],
    stands: Standing,
    numbers: NDArray[np.uint64],
    config: RankingConfig,
) -> list[Item]:
    """Return the list of a user whom the model knows.

    Parameters
    ----------
    approximate : float32 [items], scores of all items; items that are not allowed become -inf in it
    numbers : uint64, the user's random numbers
    """
    known = _forbid(space, approximate, stands)
    count = config.pool
    while True:
        candidates = _candidates(space, solution, approximate, known, stands, count)
        selection = Selection(config.length, config.artist_cap)
        discovered = _choose(selection, candidates, numbers, config)
        if not selection.missing or candidates.exhausted:
            break
        count *= _WIDEN
    item_of = dict(zip(candidates.rows, range(len(candidates.rows)), strict=True))
    filled: dict[int, Item] = {}
    if selection.missing:
        filled = _fill(selection, candidates, ColdStart(space.catalogue, charts, stands, numbers), space)
    chosen = sorted(item_of[row] for row in selection.taken if row not in filled)
    ranked = _with_reasons(space, solution, candidates, chosen, discovered, config)
    return ranked + list(filled.values())


def _forbid(space: RankingSpace, approximate: NDArray[np.float32], stands: Standing) -> NDArray[np.int64]:
    """Take out what is not allowed, and what is known; return the allowed known items."""
    rows = space.model.rows(stands.forbidden)
    approximate[space.outside] = -np.inf
    approximate[rows[rows >= 0]] = -np.inf
    if len(stands.hidden_artists):
        approximate[space.of_artists(stands.hidden_artists)] = -np.inf
    known_ids = stands.known
    if len(stands.same_second):
        known_ids = np.union1d(known_ids, stands.same_second)
    rows = space.model.rows(known_ids)
    rows = rows[rows >= 0]
    known: NDArray[np.int64] = rows[approximate[rows] > -np.inf]
    approximate[known] = -np.inf
    return known


def _candidates(
    space: RankingSpace,
    solution: Solution,
    approximate: NDArray[np.float32],
    known: NDArray[np.int64],
    stands: Standing,
    count: int,
) -> _Candidates:
    new, new_scores = best(space.model, approximate, solution.user_factors, count)
    items = np.concatenate([new, known])
    scores = np.concatenate([new_scores, score_exactly(space.model, known, solution.user_factors)])
    order = np.lexsort((items, -scores))
    items = items[order]
    newest = np.zeros(len(items), bool)
    if len(stands.same_second):
        newest = np.isin(space.model.track_ids[items], stands.same_second)
    return _Candidates(
        items=items.tolist(),
        rows=space.catalogue_rows[items].tolist(),
        artists=space.artists[items].tolist(),
        scores=scores[order].tolist(),
        known=(order >= len(new)).tolist(),
        same_second=newest.tolist(),
        exhausted=len(new) < count,
    )


def _choose(
    selection: Selection, candidates: _Candidates, numbers: NDArray[np.uint64], config: RankingConfig
) -> set[int]:
    """Take the best, then discoveries, then what is left; return the rows of the discoveries."""
    discoveries = round(config.discovery_share * config.length)
    _take_best(selection, candidates, discoveries, config)
    new = [at for at, known in enumerate(candidates.known) if not known][: config.pool]
    discovered: set[int] = set()
    for at in shuffled(new, numbers):
        if len(discovered) == discoveries or not selection.missing:
            break
        if selection.take(candidates.rows[at], candidates.artists[at]):
            discovered.add(candidates.rows[at])
    _take_rest(selection, candidates, same_second=False)
    return discovered


def _take_best(selection: Selection, candidates: _Candidates, left: int, config: RankingConfig) -> None:
    """Take new tracks with a fair score, and known ones within their share, until ``left`` are missing."""
    known_places = int(config.known_share * config.length)
    greatest = max(candidates.scores[:1], default=0.0)
    fair = config.fair_score * greatest if greatest > 0 else -np.inf
    for at, row in enumerate(candidates.rows):
        if selection.missing <= left:
            return
        if candidates.same_second[at]:
            continue
        if candidates.known[at]:
            if known_places and selection.take(row, candidates.artists[at]):
                known_places -= 1
        elif candidates.scores[at] >= fair:
            selection.take(row, candidates.artists[at])


def _take_rest(selection: Selection, candidates: _Candidates, *, same_second: bool) -> None:
    pairs = zip(candidates.rows, candidates.artists, candidates.same_second, strict=True)
    selection.take_until((row, artist) for row, artist, newest in pairs if same_second or not newest)


def _fill(
    selection: Selection, candidates: _Candidates, cold: ColdStart, space: RankingSpace
) -> dict[int, Item]:
    """Take what the model has no row for; then let the artist cap go; then the newest second."""
    placed = cold.fill(selection, same_second=False)
    selection.lift_cap()
    for same_second in (False, True):
        _take_rest(selection, candidates, same_second=same_second)
        placed |= cold.fill(selection, same_second=same_second)
    ids = space.catalogue.track_ids
    # a share of the charts does not compare with a score of the model
    return {
        row: Item(track_id=int(ids[row]), score=0.0, reasons=reasons) for row, (_, reasons) in placed.items()
    }


def _with_reasons(
    space: RankingSpace,
    solution: Solution,
    candidates: _Candidates,
    chosen: list[int],
    discovered: set[int],
    config: RankingConfig,
) -> list[Item]:
    model = space.model
    items = np.array([candidates.items[at] for at in chosen], np.int64)
    shares = top_shares(solution, model.factor_rows[items].astype(np.float64), config.reasons)
    track_ids = model.track_ids[items].tolist()
    found = []
    for at, track_id, fitted, parts in zip(chosen, track_ids, model.fitted[items], shares, strict=True):
        reasons = [Reason(kind="discovery")] if candidates.rows[at] in discovered else []
        reasons += [
            Reason(kind="interaction" if fitted else "audio", track_id=int(model.track_ids[row]), share=share)
            for row, share in parts
        ]
        found.append(Item(track_id=track_id, score=candidates.scores[at], reasons=reasons))
    return found
