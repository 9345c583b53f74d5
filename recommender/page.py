"""One user's page: the list, the rails beside it, and why each track stands there."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recommender.candidates import RankingSpace
from recommender.catalogue import Catalogue, Charts
from recommender.cold_start import ColdStart
from recommender.explanation import greatest_shares
from recommender.exploration import Numbers
from recommender.foldin import Solution
from recommender.model import Model
from recommender.personal import Known, choose
from recommender.rails import Board, Drawn, add_because, add_rediscover, drawn_for_discovery
from recommender.ranking_config import RankingConfig
from recommender.selection import Selection
from recommender.similar import Near
from recommender.standing import Standing
from schemas.recommendations import Item, Rail, Reason, ReasonKind

_DISCOVERY = Reason(kind="discovery")


@dataclass(frozen=True, slots=True)
class Page:
    """A list and the rails beside it."""

    items: list[Item]
    rails: list[Rail]


@dataclass(frozen=True, eq=False, slots=True)
class _Scored:
    """Rows of the model, their scores, and the propensities of those that were drawn."""

    items: NDArray[np.int64]
    scores: Sequence[float]
    propensities: Sequence[float | None]


@dataclass(frozen=True, eq=False, slots=True)
class Draft:
    """A page on which all is chosen, and what the model chose is not explained yet.

    Attributes
    ----------
    listed : what the model chose for the list
    filled : what follows there
    board : the rails so far; None for a page without
    drawn : what was drawn for the rail ``discovery``
    """

    solution: Solution
    listed: _Scored
    filled: list[Item]
    board: Board | None = None
    drawn: Drawn | None = None


def draft(
    space: RankingSpace,
    charts: Charts,
    user: Known,
    seed: tuple[int, Near] | None,
    config: RankingConfig,
    *,
    rails: bool,
) -> Draft:
    """Return what stands on the page of a user whom the model knows.

    Parameters
    ----------
    seed : row of the model of the track of ``because``, and its neighbours
    """
    choice = choose(space, charts, user, config)
    candidates, chosen = choice.candidates, choice.chosen
    scores = [candidates.scores[at] for at in chosen]
    propensities = [choice.discovered.get(candidates.rows[at]) for at in chosen]
    listed = _Scored(candidates.items[chosen], scores, propensities)
    filled = list(choice.filled.values())
    if not rails:
        return Draft(user.solution, listed, filled)
    board = Board(space.catalogue, user.stands, user.rows, choice.taken(), config)
    if seed is not None:
        add_because(board, space, *seed, user, config)
    add_rediscover(board, space.catalogue, user.stands, user.rows, config)
    drawn = drawn_for_discovery(board, space, choice, user, config)
    return Draft(user.solution, listed, filled, board, drawn)


def finished(model: Model, drafts: Sequence[Draft], config: RankingConfig) -> list[Page]:
    """Return pages with the past interactions that speak for what the model chose."""
    parts = []
    for one in drafts:
        parts.append((one.solution, one.listed, config.reasons))
        if one.drawn is not None:
            drawn = one.drawn
            new = _Scored(drawn.items, drawn.scores, drawn.propensities)
            parts.append((one.solution, new, config.rail_reasons))
    explained = iter(_explained(model, parts))
    pages = []
    for one in drafts:
        items = next(explained) + one.filled
        if one.board is None or one.drawn is None:
            pages.append(Page(items, []))
        else:
            one.board.add("discovery", next(explained), one.drawn.rows)
            pages.append(Page(items, one.board.rails))
    return pages


def cold_page(
    catalogue: Catalogue,
    charts: Charts,
    stands: Standing,
    numbers: Numbers,
    config: RankingConfig,
    *,
    rails: bool,
) -> Page:
    """Return the page of a user whom no model knows yet."""
    cold = ColdStart(catalogue, charts, stands, numbers)
    selection = Selection(config.length, config.artist_cap)
    placed = cold.fill(selection, same_second=False)
    selection.lift_cap()
    placed |= cold.fill(selection, same_second=False)
    placed |= cold.fill(selection, same_second=True)
    ids = catalogue.track_ids
    items = [
        Item(track_id=int(ids[row]), score=one.score, reasons=one.reasons, propensity=one.propensity)
        for row, one in placed.items()
    ]
    if not rails:
        return Page(items, [])
    rows = catalogue.rows(stands.track_ids)
    board = Board(catalogue, stands, rows, set(placed), config)
    add_rediscover(board, catalogue, stands, rows, config)
    return Page(items, board.rails)


def _explained(model: Model, parts: Sequence[tuple[Solution, _Scored, int]]) -> list[list[Item]]:
    """Return the items of each part, with at most so many past interactions that speak for each."""
    rows = np.concatenate([part.items for _, part, _ in parts])
    factors = np.split(
        model.factor_rows[rows].astype(np.float64), np.cumsum([len(part.items) for _, part, _ in parts])[:-1]
    )
    given = [(solution, of) for (solution, _, _), of in zip(parts, factors, strict=True)]
    speaking, shares = greatest_shares(given, max(reasons for _, _, reasons in parts))
    those = zip(
        model.track_ids[rows].tolist(),
        model.fitted[rows].tolist(),
        model.track_ids[speaking].tolist(),
        shares.tolist(),
        strict=True,
    )
    found = []
    for _, part, reasons in parts:
        items = []
        for score, propensity in zip(part.scores, part.propensities, strict=True):
            track_id, fitted, by, of_score = next(those)
            kind: ReasonKind = "interaction" if fitted else "audio"
            why = [] if propensity is None else [_DISCOVERY]
            why += [
                Reason(kind=kind, track_id=spoken, share=share)
                for spoken, share in zip(by[:reasons], of_score, strict=False)
                if share > 0.0
            ]
            items.append(Item(track_id=track_id, score=score, reasons=why, propensity=propensity))
        found.append(items)
    return found
