"""From histories to lists: deterministic, exact, many users at once.

Rules, in the order in which they give way when a list would be too short (the first two never do):

1. hidden tracks, tracks of hidden artists and tracks outside the catalogue never; what was just played not;
2. a list reflects only the history, the model, the charts, the catalogue and the configuration;
3. a stated share of the places goes to discovery: seeded draws among the next best new tracks;
4. tracks that the user knows fill at most a stated share, while new ones with a fair score are left;
5. at most ``artist_cap`` tracks of one artist in twenty.

The rails beside a list stand in ``rails``. What was drawn carries its propensity (``exploration``).
Places that a model cannot fill, and lists of users whom it cannot know, come from ``cold_start``.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recommender.candidates import RankingSpace, ranking_space, score_all
from recommender.catalogue import Catalogue, Charts
from recommender.encoding import History
from recommender.exploration import Numbers
from recommender.foldin import Solution, solve
from recommender.model import Model
from recommender.page import Page, cold_page, known_page
from recommender.personal import Known
from recommender.rails import seed_of
from recommender.ranking_config import RankingConfig
from recommender.similar import Near, neighbourhood
from recommender.standing import Standing, standing
from recommender.strength import strengths
from schemas.recommendations import Item

__all__ = ["Catalogue", "Charts", "Page", "RankingConfig", "Request", "rank", "recommend"]

_USERS_AT_ONCE = 32  # 32 x 100,000 float32 scores are 13 MB, as much again for tracks without neighbours yet


@dataclass(frozen=True, eq=False, slots=True)
class Request:
    """One user whose list is wanted.

    Attributes
    ----------
    user_id : 32 hexadecimal digits; seeds the draws together with ``offset`` and the model
    partition, offset : what ``history`` reflects
    history : the user's history
    last_track_id : track of the newest play, where known: times in histories are whole seconds
    """

    user_id: str
    partition: int
    offset: int
    history: History
    last_track_id: int | None = None


def recommend(
    requests: Sequence[Request],
    model: Model | None,
    catalogue: Catalogue,
    charts: Charts,
    config: RankingConfig,
) -> list[list[Item]]:
    """Return the list of each request without rails; see ``rank``."""
    return [page.items for page in rank(requests, model, catalogue, charts, config, rails=False)]


def rank(
    requests: Sequence[Request],
    model: Model | None,
    catalogue: Catalogue,
    charts: Charts,
    config: RankingConfig,
    *,
    rails: bool = True,
) -> list[Page]:
    """Return the page of each request, in order.

    Equal arguments give equal pages, whatever stands beside a request in the batch. ``model``, ``catalogue``
    and ``charts`` should be the same objects from call to call: indexes are kept for them.

    Parameters
    ----------
    rails : without them the lists are the same

    Returns
    -------
    Per request at most ``config.length`` items; fewer only where the catalogue allows no more.

    Raises
    ------
    InvalidModel
        The model's equations cannot be solved; see ``foldin.solve``.
    """
    if not len(catalogue.track_ids):
        return [Page([], []) for _ in requests]
    pages: dict[int, Page] = {}
    warm: list[_Warm] = []
    for at, request in enumerate(requests):
        given = strengths(request.history)
        stands = standing(request.history, given, request.last_track_id, config.recent_tracks)
        solution = None if model is None else solve(model, *given)
        if solution is not None:
            warm.append(_Warm(at, request, solution, stands))
        else:
            numbers = Numbers(request.user_id, request.offset, None)
            pages[at] = cold_page(catalogue, charts, stands, numbers, config, rails=rails)
    for start in range(0, len(warm), _USERS_AT_ONCE):
        assert model is not None
        block = warm[start : start + _USERS_AT_ONCE]
        pages.update(_known_pages(block, ranking_space(model, catalogue), charts, config, rails=rails))
    return [pages[at] for at in range(len(requests))]


@dataclass(frozen=True, eq=False, slots=True)
class _Warm:
    """A request whose user the model knows."""

    at: int
    request: Request
    solution: Solution
    stands: Standing


def _known_pages(
    block: Sequence[_Warm], space: RankingSpace, charts: Charts, config: RankingConfig, *, rails: bool
) -> Iterator[tuple[int, Page]]:
    model = space.model
    # rows of all histories at once: a search for one history costs nearly as much
    track_ids = np.concatenate([one.stands.track_ids for one in block])
    ends = np.cumsum([len(one.stands.track_ids) for one in block])[:-1]
    items, rows = (np.split(of.rows(track_ids), ends) for of in (model, space.catalogue))
    those = zip(block, items, rows, strict=True)
    seeds = [seed_of(one.stands, mine, theirs, config) if rails else None for one, mine, theirs in those]
    scores, near = _scored(model, block, seeds)
    for at, (one, seed) in enumerate(zip(block, seeds, strict=True)):
        numbers = Numbers(one.request.user_id, one.request.offset, model.model_id)
        user = Known(one.solution, one.stands, items[at], rows[at], scores[at], numbers)
        nearest = None if seed is None else (seed, near[seed])
        yield one.at, known_page(space, charts, user, nearest, config, rails=rails)


def _scored(
    model: Model, block: Sequence[_Warm], seeds: Sequence[int | None]
) -> tuple[NDArray[np.float32], dict[int, Near]]:
    """Return approximate scores of all items, float32 [users, items], and the neighbours of the seeds.

    Neighbours that are not kept yet come from further rows of the same product.
    """
    hood = neighbourhood(model)
    near: dict[int, Near] = {}
    missing: list[int] = []
    for seed in dict.fromkeys(seed for seed in seeds if seed is not None):
        held = hood.held(seed)
        if held is None:
            missing.append(seed)
        else:
            near[seed] = held
    factors = np.stack([one.solution.user_factors for one in block])
    scores = score_all(model, np.concatenate([factors, hood.directions(model, missing)]))
    for seed, products in zip(missing, scores[len(block) :], strict=True):
        near[seed] = hood.nearest(model, seed, products)
        hood.keep(seed, near[seed])
    return scores[: len(block)], near
