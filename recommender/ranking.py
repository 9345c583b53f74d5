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

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recommender.candidates import RankingSpace, ranking_space
from recommender.catalogue import Catalogue, Charts
from recommender.encoding import History
from recommender.exploration import Numbers
from recommender.foldin import Solution, solve_all
from recommender.model import Model
from recommender.page import Page, cold_page, draft, finished
from recommender.personal import Known
from recommender.pools import candidates_of_all
from recommender.rails import seed_of
from recommender.ranking_config import RankingConfig
from recommender.similar import neighbourhood
from recommender.standing import Standings
from schemas.recommendations import Item

__all__ = ["Catalogue", "Charts", "Page", "RankingConfig", "Request", "rank", "recommend"]

_USERS = 32  # ranked at once: more share the reading of the factors, and wait longer


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
    pages: list[Page] = []
    for start in range(0, len(requests), _USERS):
        block = requests[start : start + _USERS]
        pages += _pages(block, model, catalogue, charts, config, rails=rails)
    return pages


def _pages(
    block: Sequence[Request],
    model: Model | None,
    catalogue: Catalogue,
    charts: Charts,
    config: RankingConfig,
    *,
    rails: bool,
) -> list[Page]:
    histories = [request.history for request in block]
    standings = Standings(histories, [request.last_track_id for request in block], config.recent_tracks)
    pages: dict[int, Page] = {}
    if model is not None:
        items = model.rows(standings.track_ids)
        solved = enumerate(solve_all(model, items, standings.strength, standings.starts))
        warm = {user: solution for user, solution in solved if solution is not None}
        if warm:
            space = ranking_space(model, catalogue)
            known = _Known(block, standings, items, warm)
            pages.update(_known_pages(known, space, charts, config, rails=rails))
    for user, request in enumerate(block):
        if user not in pages:
            numbers = Numbers(request.user_id, request.offset, None)
            pages[user] = cold_page(catalogue, charts, standings[user], numbers, config, rails=rails)
    return [pages[user] for user in range(len(block))]


@dataclass(frozen=True, eq=False, slots=True)
class _Known:
    """Requests ranked together, and which of their users the model knows.

    Attributes
    ----------
    items : int64 [t], row of the model of each track in ``standings``, -1 where there is none
    solutions : by place in ``requests``
    """

    requests: Sequence[Request]
    standings: Standings
    items: NDArray[np.int64]
    solutions: dict[int, Solution]


def _known_pages(
    those: _Known, space: RankingSpace, charts: Charts, config: RankingConfig, *, rails: bool
) -> dict[int, Page]:
    standings, items, users = those.standings, those.items, list(those.solutions)
    rows = space.catalogue_rows[items]
    if (items < 0).any():  # a track that the model does not know can stand in the catalogue
        rows[items < 0] = space.catalogue.rows(standings.track_ids[items < 0])
    seeds: list[int | None] = [None] * len(users)
    if rails:
        parts = ((standings[user], standings.its(user)) for user in users)
        seeds = [seed_of(stands, items[its], rows[its], config) for stands, its in parts]
    near = neighbourhood(space.model).near(space.model, (seed for seed in seeds if seed is not None))
    factors = np.stack([solution.user_factors for solution in those.solutions.values()])
    drafts = []
    # the rail of discoveries draws from what is left by the list, and by artists met lately
    count = config.pool + config.discovery_pool if rails else config.pool
    found = candidates_of_all(space, factors, standings, users, items, count)
    for place, (user, solution) in enumerate(those.solutions.items()):
        request, seed, its = those.requests[user], seeds[place], standings.its(user)
        known = Known(
            solution=solution,
            stands=standings[user],
            items=items[its],
            rows=rows[its],
            candidates=found[place],
            numbers=Numbers(request.user_id, request.offset, space.model.model_id),
        )
        nearest = None if seed is None else (seed, near[seed])
        drafts.append(draft(space, charts, known, nearest, config, rails=rails))
    return dict(zip(users, finished(space.model, drafts, config), strict=True))
