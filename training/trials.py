"""Trials of a search in Spark: fit on one part of the training share, rank, compare with the rest of it."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from py4j.protocol import Py4JJavaError  # type: ignore[import-untyped]
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession

from recommender.metrics import bootstrap
from schemas.errors import InvalidModel
from training.configuration import TrainingConfig
from training.evaluation import Metrics, user_metrics
from training.fit import fit
from training.gate import not_finite
from training.global_split import split_users
from training.interactions import Ids, dense_ids, judged_users, prepared_users, ratings
from training.judgement import Judged, judged_from, model_scores, ranked
from training.learning import trial_model
from training.search import Parameters, Space, Trial, als_space, suggest
from training.session import first_line, is_of_the_data
from training.validation import validation_split

Judge = Callable[[Parameters], Trial]
OnTrial = Callable[[Trial], None]


@dataclass(frozen=True)
class Budget:
    """When a search ends: after so many trials, or when none is begun any more after so many seconds."""

    trials: int
    limit_s: float


def run_trials(
    judge: Judge,
    space: Space,
    first: Parameters,
    seed: int,
    budget: Budget,
    earlier: Sequence[Trial],
    on_trial: OnTrial,
) -> list[Trial]:
    """Go on with a search; return all of its trials.

    Parameters
    ----------
    first : where a search begins
    earlier : trials that were made before, in order
    on_trial : called after each new trial
    """
    began = time.monotonic()
    trials = list(earlier)
    while len(trials) < budget.trials and time.monotonic() - began < budget.limit_s:
        trials.append(judge(suggest(space, trials, first, seed)))
        on_trial(trials[-1])
    return trials


def tune(
    spark: SparkSession,
    part_uris: Sequence[str],
    config: TrainingConfig,
    fixed: frozenset[str],
    budget: Budget,
    earlier: Sequence[Trial],
    on_trial: OnTrial,
) -> list[Trial]:
    """Search Spark's parameters on the validation split of a snapshot; return all trials.

    Parameters
    ----------
    fixed : parameters that are not searched: ``config`` has them

    Raises
    ------
    InvalidModel
        There is nobody to judge a trial by.
    """
    prepared, _ = split_users(prepared_users(spark, part_uris, config), config)
    share = share_of(spark, validation_split(prepared, config), config)
    space = als_space(len(share.ids.user_ids), len(share.ids.track_ids))
    searched = {name: one for name, one in space.items() if name not in fixed}
    first = {name: getattr(config, name) for name in searched}
    judge = spark_judge(share, config)
    return run_trials(judge, searched, first, config.seed, budget, earlier, on_trial)


@dataclass(frozen=True)
class Share:
    """What trials are fitted on and judged by.

    Attributes
    ----------
    ratings : of the training share, in memory
    rows : int64 [judged users], their numbers in ``ids.user_ids``
    """

    ids: Ids
    judged: Judged
    ratings: DataFrame
    rows: NDArray[np.int64]


def share_of(spark: SparkSession, prepared: DataFrame, config: TrainingConfig) -> Share:
    """Read a split once, for all trials.

    Raises
    ------
    InvalidModel
        No user has anything held out.
    """
    kept = prepared.persist()
    ids = dense_ids(kept)
    table = judged_users(kept, config.judged_users)
    if table.num_rows == 0 or len(ids.track_ids) < 2:
        raise InvalidModel(
            "there is too little to tune on: no user has three positive interactions beside those that the "
            "judgement holds out; train without --tune"
        )
    rows = np.searchsorted(ids.user_ids, np.array(table["user_id"].to_pylist(), ids.user_ids.dtype))
    training = ratings(spark, kept, ids, training_only=True).persist()
    return Share(ids, judged_from(table, ids.track_ids), training, rows)


def spark_judge(share: Share, config: TrainingConfig) -> Judge:
    """Return what fits and judges a set of parameters; the rest of them is ``config``'s."""
    users, items = len(share.ids.user_ids), len(share.ids.track_ids)

    def judge(parameters: Parameters) -> Trial:
        began = time.monotonic()
        searched: dict[str, Any] = dict(parameters)
        one = replace(config, **searched)
        try:
            fitted = fit(share.ratings, one, one.rank_for(users, items))
        except (PySparkException, Py4JJavaError) as error:
            if not is_of_the_data(error):
                raise
            # such parameters have no fit (a singular equation): the search must know and go on
            return failed_trial(searched, began, first_line(error))
        broken = not_finite(fitted.rows)
        if broken.refused:
            return failed_trial(searched, began, broken.words)
        lists = ranked(model_scores(trial_model(fitted, share.ids, one), share.judged), share.judged)
        return trial_of(searched, began, user_metrics(lists, share.judged.relevant), config.seed)

    return judge


def trial_of(parameters: Parameters, began: float, reached: Metrics, seed: int) -> Trial:
    """Return a trial by what each judged user's list reached."""
    found = bootstrap(reached["ndcg_at_10"], seed=seed)
    seconds = round(time.monotonic() - began, 2)
    return Trial(dict(parameters), found.mean, found.low, found.high, seconds)


def failed_trial(parameters: Parameters, began: float, why: str) -> Trial:
    """Return a trial that could not be fitted."""
    return Trial(dict(parameters), 0.0, 0.0, 0.0, round(time.monotonic() - began, 2), why)
