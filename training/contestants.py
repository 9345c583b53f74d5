"""A model beside its baselines and the served model: figures with intervals, as one plain dictionary.

Differences are paired by user: the model less the other, on the same resampled users.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pyspark.sql import DataFrame, SparkSession

from recommender import metrics
from recommender.metrics import Interval, bootstrap_columns
from training import baselines
from training.artists import Artists
from training.configuration import TrainingConfig
from training.evaluation import Contest, Metrics, interval_as_dict, user_metrics
from training.evaluation_tables import TITLES
from training.interactions import Ids
from training.judgement import Judged, ranked
from training.segments import Segment, segments

CURVE_POINTS = 41
_SEGMENT_METRICS = ("ndcg_at_10", "recall_at_20")
_NO_TIMES = "no interaction has a time"
_NO_MODEL = "no model is in service"


@dataclass(frozen=True)
class Contestant:
    """One way to make lists, and what it reached.

    Attributes
    ----------
    lists : int64 [users, LENGTH], items, -1 where a list is shorter
    values : each metric of each user
    """

    name: str
    lists: NDArray[np.int64]
    values: Metrics


def compare(
    spark: SparkSession,
    prepared: DataFrame,
    contest: Contest,
    config: TrainingConfig,
    artists: Artists,
    served_lists: NDArray[np.int64] | None,
) -> dict[str, Any]:
    """Rank the baselines for the users of a contest and return what is added to its evaluation.

    Returns
    -------
    ``against``: by contestant its figures and the paired ``difference`` of each metric; ``absent``: why a
    contestant does not stand there; ``segments``; ``exposure``: share of list places by share of artists.
    """
    judged, ids = contest.judged, contest.ids
    lists = {"model": contest.lists, "popularity": contest.popular_lists}
    absent = {}
    weights = baselines.decayed_listeners(prepared, ids)
    if weights is None:
        absent["decayed_popularity"] = _NO_TIMES
    else:
        lists["decayed_popularity"] = ranked(baselines.decayed_scores(weights), judged)
    similar = baselines.nearest_items(baselines.training_matrix(spark, prepared, ids, config))
    lists["item_knn"] = ranked(baselines.neighbour_scores(similar, judged), judged)
    if served_lists is None:
        absent["served"] = _NO_MODEL
    else:
        lists["served"] = served_lists
    relevant = judged.relevant
    found = [
        Contestant(name, lists[name], user_metrics(lists[name], relevant)) for name in TITLES if name in lists
    ]
    return {"absent": absent} | figures(found, judged, ids, artists, config.seed)


def figures(
    contestants: Sequence[Contestant], judged: Judged, ids: Ids, artists: Artists, seed: int
) -> dict[str, Any]:
    """Return the figures of contestants that ranked the same users; the first one is the model.

    Returns
    -------
    ``against``, ``segments``, ``exposure``, see ``compare``.
    """
    artist_of = artists.of(ids.track_ids)
    model = contestants[0]
    against, exposure = {}, {}
    for one in contestants:
        figure = _intervals(one.values, seed) | list_figures(one.lists, ids, artist_of)
        if one is not model:
            differences = {name: model.values[name] - values for name, values in one.values.items()}
            figure["difference"] = _intervals(differences, seed)
        against[one.name] = figure
        exposure[one.name] = _curve(_places(one.lists, artist_of))
    parts = segments(judged, ids.training_listeners)
    return {
        "against": against,
        "segments": [_of_segment(part, contestants, seed) for part in parts],
        "exposure": exposure,
    }


def list_figures(lists: NDArray[np.int64], ids: Ids, artist_of: NDArray[np.int64]) -> dict[str, float]:
    """Return what lists show of the catalogue: coverage, novelty, artist Gini."""
    shown = [row[row >= 0].tolist() for row in lists]
    listeners = dict(enumerate(ids.training_listeners.tolist()))
    return {
        "coverage": metrics.coverage(shown, len(ids.track_ids)),
        "novelty_bits": metrics.novelty(shown, listeners, len(ids.user_ids)),
        "artist_gini": metrics.gini(_places(lists, artist_of)),
        "without_list": float((lists < 0).all(axis=1).mean()),
    }


def _of_segment(part: Segment, contestants: Sequence[Contestant], seed: int) -> dict[str, Any]:
    measured = {
        one.name: {
            name: values
            for name, values in user_metrics(one.lists[part.users], part.relevant).items()
            if name in _SEGMENT_METRICS
        }
        for one in contestants
    }
    return {
        "name": part.name,
        "rule": part.rule,
        "users": len(part.users),
        "held_out": part.held_out,
        "figures": {name: _intervals(values, seed) for name, values in measured.items()},
    }


def _intervals(values: Mapping[str, NDArray[np.float64]], seed: int) -> dict[str, Any]:
    found: list[Interval] = bootstrap_columns(np.column_stack(list(values.values())), seed=seed)
    return {name: interval_as_dict(one) for name, one in zip(values, found, strict=True)}


def _places(lists: NDArray[np.int64], artist_of: NDArray[np.int64]) -> NDArray[np.int64]:
    """Count each artist's places in the lists: int64 [artists]."""
    return np.bincount(artist_of[lists[lists >= 0]], minlength=int(artist_of.max()) + 1)


def _curve(places: NDArray[np.int64]) -> list[float]:
    """Return the Lorenz curve: which share of places the least shown artists have, at equal steps."""
    total = places.sum()
    if total == 0:
        return [0.0] * CURVE_POINTS
    held = np.concatenate(([0.0], np.cumsum(np.sort(places)) / total))
    at = np.linspace(0, len(places), CURVE_POINTS)
    return [round(float(value), 4) for value in np.interp(at, np.arange(len(held)), held)]
