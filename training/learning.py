"""The blocking part of a training: everything between the parts and the arrays of a model."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark.sql import DataFrame, SparkSession

from recommender.model import Model, canonical_arrays, rows_of
from schemas.errors import InvalidModel
from training import gate
from training.artists import NO_ARTISTS, Artists
from training.configuration import Split, TrainingConfig
from training.contestants import compare
from training.evaluation import Contest
from training.fit import Fit, fit, held_out_rmse
from training.gate import Served
from training.global_split import split_users
from training.interactions import (
    Ids,
    dense_ids,
    held_out_ratings,
    judged_users,
    outcome_counts,
    prepared_users,
    ratings,
)
from training.judgement import judged_from, model_scores, ranked
from training.placement import NO_FEATURES, Features, Placement, place

Report = Callable[[str], None]
CANDIDATE = "candidate"
STEPS = 5
"""How often ``learn`` reports."""


@dataclass(frozen=True)
class Learned:
    """What a training found; ``reasons`` is empty where the model may be served."""

    arrays: dict[str, NDArray[Any]]
    rank: int
    evaluation: dict[str, Any]
    reasons: list[str]


def learn(
    spark: SparkSession,
    part_uris: Sequence[str],
    config: TrainingConfig,
    features: Features,
    served: Served | None,
    report: Report,
    artists: Artists = NO_ARTISTS,
) -> Learned:
    """Prepare, judge on a split, fit on everything, place tracks without plays.

    Raises
    ------
    InvalidModel
        There is too little to learn from.
    """
    report("reading the snapshot")
    everything = prepared_users(spark, part_uris, config)
    prepared, moment_s = split_users(everything, config)
    counts = outcome_counts(prepared)
    ids = dense_ids(prepared)
    _enough(ids, config)
    report(f"fitting on the training share of {len(ids.user_ids)} users and {len(ids.track_ids)} tracks")
    evaluation, verdicts = _judge(spark, prepared, ids, config, features, artists, served, report, moment_s)
    report("fitting on everything")
    final = _fit(spark, everything, ids, config, training_only=False)
    verdicts["finite"] = gate.not_finite(final.rows)
    evaluation["gate"] = gate.in_words(verdicts)
    report("placing tracks without plays")
    arrays, placed = _arrays(final, ids, features, ids.listeners)
    evaluation["dead_tracks"] = {"tracks": ids.dead_tracks, "interactions": ids.dead_interactions}
    evaluation |= {"outliers": counts, "fit_s": round(final.fit_s, 2), "placed": _placed(placed)}
    evaluation["model"]["tracks"] = len(arrays["track_ids"])
    prepared.unpersist()
    everything.unpersist()
    return Learned(arrays, final.rank, evaluation, gate.reasons(verdicts))


def assess(
    spark: SparkSession,
    part_uris: Sequence[str],
    config: TrainingConfig,
    features: Features,
    served: Served | None,
    report: Report,
    artists: Artists = NO_ARTISTS,
) -> dict[str, Any]:
    """Judge a configuration on the split of a snapshot: a fit on the training share, thrown away afterwards.

    The served model stands beside it as it is; it may have learned from what is held out.

    Raises
    ------
    InvalidModel
        There is too little to learn from.
    """
    report("reading the snapshot")
    prepared, moment_s = split_users(prepared_users(spark, part_uris, config), config)
    counts = outcome_counts(prepared)
    ids = dense_ids(prepared)
    _enough(ids, config)
    report(f"fitting on the training share of {len(ids.user_ids)} users and {len(ids.track_ids)} tracks")
    evaluation, _ = _judge(spark, prepared, ids, config, features, artists, served, report, moment_s)
    prepared.unpersist()
    return evaluation | {"outliers": counts}


def _enough(ids: Ids, config: TrainingConfig) -> None:
    users, tracks = len(ids.user_ids), len(ids.track_ids)
    if users < config.min_users or tracks < 2:
        raise InvalidModel(
            f"{users} users with {tracks} tracks are too few to learn from; "
            f"{config.min_users} users and 2 tracks are needed"
        )


def _judged_users(prepared: DataFrame, config: TrainingConfig) -> pa.Table:
    table = judged_users(prepared, config.judged_users)
    if table.num_rows == 0:
        raise InvalidModel("no user has the three positive interactions that a judgement needs")
    return table


def _fit(
    spark: SparkSession, prepared: DataFrame, ids: Ids, config: TrainingConfig, *, training_only: bool
) -> Fit:
    rank = config.rank_for(len(ids.user_ids), len(ids.track_ids))
    return fit(ratings(spark, prepared, ids, training_only=training_only), config, rank)


def _judge(
    spark: SparkSession,
    prepared: DataFrame,
    ids: Ids,
    config: TrainingConfig,
    features: Features,
    artists: Artists,
    served: Served | None,
    report: Report,
    moment_s: int | None,
) -> tuple[dict[str, Any], gate.Verdicts]:
    users = _judged_users(prepared, config)
    trial = _fit(spark, prepared, ids, config, training_only=True)
    broken = gate.not_finite(trial.rows)
    if broken.refused:
        raise InvalidModel(broken.words)
    model = trial_model(trial, ids, config, features)
    catalogue = ids.with_tracks(model.track_ids)  # what nobody played competes too, as in service
    judged = judged_from(users, catalogue.track_ids)
    report(f"ranking {judged.users} users over {len(catalogue.track_ids)} tracks")
    began = time.monotonic()
    contest = Contest.between(model, judged, catalogue, config.seed)
    evaluation = contest.as_dict()
    if moment_s is not None:
        evaluation["split"] |= {"kind": Split.GLOBAL, "moment_s": moment_s}
    verdicts: gate.Verdicts = {
        "covering": gate.not_covering(contest.folded, judged.users, contest.lists),
        "popularity": gate.not_better_than_popularity(contest.gain, judged.users),
    }
    served_lists = None
    if served is not None:
        served_lists = ranked(model_scores(served.model, judged), judged)
        evaluation["served"] = contest.against(served_lists, served.snapshot_s)
        verdicts["served"] = gate.worse_than_served(evaluation, served.evaluation)
    evaluation |= compare(spark, prepared, contest, config, artists, served_lists)
    evaluation["rmse"] = held_out_rmse(trial, held_out_ratings(spark, prepared, ids))
    evaluation["judge_s"] = round(time.monotonic() - began, 2)
    return evaluation, verdicts


def trial_model(trial: Fit, ids: Ids, config: TrainingConfig, features: Features = NO_FEATURES) -> Model:
    """Return a fit on the training share as a model, to be judged and thrown away.

    Tracks that nobody played in the training share are placed by their sound, as in a published model.
    """
    arrays, _ = _arrays(trial, ids, features, ids.training_listeners)
    return Model.build(
        CANDIDATE,
        arrays["track_ids"],
        arrays["item_factors"],
        arrays["fitted"],
        arrays["popularity"],
        config.reg_param,
        config.alpha,
    )


def _arrays(
    fitted: Fit, ids: Ids, features: Features, listeners: NDArray[np.int64]
) -> tuple[dict[str, NDArray[Any]], Placement]:
    fitted_ids = ids.track_ids[fitted.items]
    placed = place(features.scaled, rows_of(fitted_ids, features.track_ids), fitted.rows)
    track_ids = np.concatenate((fitted_ids, features.track_ids[placed.at]))
    order = np.argsort(track_ids)
    rows = np.concatenate((fitted.rows, placed.rows))
    known = np.arange(len(track_ids)) < len(fitted_ids)
    heard = np.concatenate((listeners[fitted.items], np.zeros(len(placed.at))))
    return canonical_arrays(track_ids[order], rows[order], known[order], heard[order]), placed


def _placed(placed: Placement) -> dict[str, Any]:
    return {"tracks": len(placed.at), "penalty": placed.penalty, "explained": placed.explained}
