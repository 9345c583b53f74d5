"""From histories to lists: deterministic, exact, many users at once.

Rules, in the order in which they give way when a list would be too short (the first two never do):

1. hidden tracks, tracks of hidden artists and tracks outside the catalogue never; what was just played not;
2. a list reflects only the history, the model, the charts, the catalogue and the configuration;
3. a stated share of the places goes to discovery: seeded draws among the next best new tracks;
4. tracks that the user knows fill at most a stated share, while new ones with a fair score are left;
5. at most ``artist_cap`` tracks of one artist in twenty.

Places that a model cannot fill, and lists of users whom it cannot know, come from ``cold_start``.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from recommender.candidates import RankingSpace, ranking_space, score_all
from recommender.catalogue import Catalogue, Charts
from recommender.cold_start import ColdStart
from recommender.encoding import History
from recommender.foldin import Solution, solve
from recommender.model import Model
from recommender.personal import personal_list
from recommender.ranking_config import RankingConfig
from recommender.selection import Selection, random_numbers
from recommender.standing import standing
from recommender.strength import strengths
from schemas.recommendations import Item

__all__ = ["Catalogue", "Charts", "RankingConfig", "Request", "recommend"]

_USERS_AT_ONCE = 32  # 32 x 100,000 float32 scores are 13 MB


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
    """Return the list of each request, in order.

    Equal arguments give equal ids and scores, whatever stands beside a request in the batch. ``model``,
    ``catalogue`` and ``charts`` should be the same objects from call to call: indexes are kept for them.

    Returns
    -------
    Per request at most ``config.length`` items; fewer only where the catalogue allows no more.

    Raises
    ------
    InvalidModel
        The model's equations cannot be solved; see ``foldin.solve``.
    """
    solutions: list[Solution | None] = [
        None if model is None else solve(model, *strengths(request.history)) for request in requests
    ]
    lists: list[list[Item]] = [[] for _ in requests]
    if model is not None and len(catalogue.track_ids):
        space = ranking_space(model, catalogue)
        for at, items in _personal_lists(requests, solutions, space, charts, config):
            lists[at] = items
    for at, request in enumerate(requests):
        if solutions[at] is None:
            lists[at] = _cold_list(request, catalogue, charts, config)
    return lists


def _personal_lists(
    requests: Sequence[Request],
    solutions: Sequence[Solution | None],
    space: RankingSpace,
    charts: Charts,
    config: RankingConfig,
) -> Iterator[tuple[int, list[Item]]]:
    warm = [(at, solution) for at, solution in enumerate(solutions) if solution is not None]
    for start in range(0, len(warm), _USERS_AT_ONCE):
        block = warm[start : start + _USERS_AT_ONCE]
        scores = score_all(space.model, np.stack([solution.user_factors for _, solution in block]))
        for (at, solution), approximate in zip(block, scores, strict=True):
            request = requests[at]
            stands = standing(request.history, request.last_track_id, config.recent_tracks)
            numbers = random_numbers(request.user_id, request.offset, space.model.model_id)
            yield at, personal_list(space, charts, solution, approximate, stands, numbers, config)


def _cold_list(request: Request, catalogue: Catalogue, charts: Charts, config: RankingConfig) -> list[Item]:
    """Return the list of a user whom no model knows yet."""
    stands = standing(request.history, request.last_track_id, config.recent_tracks)
    numbers = random_numbers(request.user_id, request.offset, None)
    cold = ColdStart(catalogue, charts, stands, numbers)
    selection = Selection(config.length, config.artist_cap)
    placed = cold.fill(selection, same_second=False)
    selection.lift_cap()
    placed |= cold.fill(selection, same_second=False)
    placed |= cold.fill(selection, same_second=True)
    return [
        Item(track_id=int(catalogue.track_ids[row]), score=score, reasons=reasons)
        for row, (score, reasons) in placed.items()
    ]
