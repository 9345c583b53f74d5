"""Who takes part in ``als-quality``: how each makes lists, and where its parameters are searched."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from implicit.cpu.als import AlternatingLeastSquares
from numpy.typing import NDArray
from optuna.distributions import FloatDistribution, IntDistribution
from scipy import sparse

from bench._ease import ease_scores
from training.baselines import NEIGHBOURS, SHRINKAGE, nearest_items, neighbour_scores
from training.configuration import TrainingConfig
from training.fit import fit
from training.judgement import Scores, model_scores, ranked
from training.learning import trial_model
from training.search import Parameters, Space, als_space
from training.trials import Share

Lists = NDArray[np.int64]


@dataclass(frozen=True)
class Side:
    """One contestant: where it is searched, where that begins, and how it makes lists of a share."""

    space: Space
    first: Parameters
    lists: Callable[[Share, Parameters, int], Lists]


def sides_of(config: TrainingConfig, users: int, items: int) -> dict[str, Side]:
    """Return the contestants that are tuned; ``users`` and ``items`` are the share's."""
    ours = {name: one for name, one in als_space(users, items).items() if name != "rank"}
    theirs: Space = {
        # Spark multiplies its own by the number of a row's interactions: these are ten to fifty here
        "regularization": FloatDistribution(0.1, 100.0, log=True),
        "alpha": FloatDistribution(0.1, 40.0, log=True),
        "iterations": IntDistribution(5, 15),
    }
    near: Space = {
        "neighbours": IntDistribution(20, 1000, log=True),
        "shrinkage": FloatDistribution(0.1, 1000.0, log=True),
    }
    linear: Space = {"penalty": FloatDistribution(1.0, 5000.0, log=True)}
    begin = {name: getattr(config, name) for name in ours}
    return {
        "ours": Side(ours, begin, _Ours(config)),
        "implicit": Side(
            theirs,
            {"regularization": 10.0, "alpha": config.alpha, "iterations": config.max_iter},
            _Implicit(config.rank),
        ),
        "item_knn": Side(near, {"neighbours": NEIGHBOURS, "shrinkage": SHRINKAGE}, _neighbour_lists),
        "ease": Side(linear, {"penalty": 250.0}, _ease_lists),
    }


@dataclass(frozen=True)
class _Ours:
    """Spark's ALS as the product fits it; users are folded in as in serving."""

    config: TrainingConfig

    def __call__(self, share: Share, parameters: Parameters, seed: int) -> Lists:
        chosen: dict[str, Any] = dict(parameters)
        config = replace(self.config, seed=self.config.seed + seed, **chosen)
        fitted = fit(share.ratings, config, config.rank)
        scores = model_scores(trial_model(fitted, share.ids, config), share.judged)
        return ranked(scores, share.judged)


@dataclass(frozen=True)
class _Implicit:
    """The same objective in the weighting of implicit; confidence 1 + alpha * strength is given to it.

    Its own user factors are half an iteration old: they are solved again against the final item factors, as
    ours are.
    """

    rank: int

    def __call__(self, share: Share, parameters: Parameters, seed: int) -> Lists:
        confidence = _matrix(share)
        confidence.data = 1.0 + np.float32(parameters["alpha"]) * confidence.data
        model = AlternatingLeastSquares(
            factors=self.rank,
            regularization=float(parameters["regularization"]),
            iterations=int(parameters["iterations"]),
            num_threads=0,
            random_state=seed,
        )
        model.fit(confidence, show_progress=False)
        users = model.recalculate_user(share.rows, confidence[share.rows])
        factors = np.ascontiguousarray(model.item_factors.T)

        def scores(start: int, end: int) -> NDArray[np.float32]:
            return np.asarray(users[start:end] @ factors, np.float32)

        return ranked(scores, share.judged)


def _neighbour_lists(share: Share, parameters: Parameters, _: int) -> Lists:
    neighbours, shrinkage = int(parameters["neighbours"]), float(parameters["shrinkage"])
    similar = nearest_items(_matrix(share), neighbours, shrinkage)
    return ranked(neighbour_scores(similar, share.judged), share.judged)


def _ease_lists(share: Share, parameters: Parameters, _: int) -> Lists:
    scores: Scores = ease_scores(_matrix(share), float(parameters["penalty"]), share.rows)
    return ranked(scores, share.judged)


def _matrix(share: Share) -> sparse.csr_matrix:
    """Return the ratings that Spark is given: float32 [users, items]. The data hold none below 0."""
    table = share.ratings.toArrow()
    user, item, rating = (table[name].to_numpy() for name in ("user", "item", "rating"))
    shape = (len(share.ids.user_ids), len(share.ids.track_ids))
    return sparse.csr_matrix((rating, (user, item)), shape, np.float32)
