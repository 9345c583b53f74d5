"""Quality of our ALS against implicit's: NDCG@10 at equal rank and equal number of tuning trials, same split.

    python -m bench als-quality [--data DIR] [--movielens DIR] [--trials 20] [--rank 64] [--seeds 3] --json

Both sides, item-kNN and EASE are tuned by the same search on the same validation split inside the training
share, each with so many trials; then each is fitted on the whole training share and ranks the full catalogue
for the judged users. The two ALS are fitted in turn with several seeds, and a user counts by the mean.
``ratio`` is ours over implicit's with a paired bootstrap interval over users, of the data set where its lower
bound is least; ``low`` must be 0.98. MovieLens-1M takes part where its folder is given.
"""

import argparse
import sys
import tempfile
import time
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from pyspark.sql import SparkSession

from bench._quality_data import hetrec_folder, hetrec_histories, movielens_histories, write_parts
from bench._quality_sides import Lists, Side, sides_of
from recommender.metrics import bootstrap, bootstrap_ratio
from schemas.settings import Settings
from training.configuration import TrainingConfig, versions
from training.evaluation import interval_as_dict, user_metrics
from training.interactions import prepared_users
from training.judgement import popularity_scores, ranked
from training.search import Parameters, Trial, best_of
from training.session import spark_session
from training.trials import Budget, Share, run_trials, share_of, trial_of
from training.validation import validation_split

NAME = "als-quality"
MUST = 0.98
Figures = dict[str, Any]


def run(arguments: list[str]) -> Figures:
    """Tune, fit and judge both sides on each data set; return the figures."""
    given = _parse(arguments)
    found = {}
    with tempfile.TemporaryDirectory(prefix="segue-quality-") as name:
        settings = Settings(data_dir=Path(name))
        config = TrainingConfig.from_settings(settings, rank=given.rank)
        datasets = {"hetrec": partial(hetrec_histories, given.data)}
        if given.movielens is not None:
            datasets["movielens"] = partial(movielens_histories, given.movielens)
        else:
            _say("MovieLens-1M is not judged: give the folder of your own copy by --movielens")
        for title, histories in datasets.items():
            _say(f"{title}: folding")
            uris = write_parts(histories(), Path(name) / title)
            with spark_session(settings, blocks=config.blocks) as spark:
                found[title] = _judge(spark, uris, config, given)
    least = min(found.values(), key=lambda one: one["low"])
    told = {name: version(name) for name in ("implicit", "optuna")}
    return {
        "ratio": least["ratio"],
        "low": least["low"],
        "high": least["high"],
        "must": MUST,
        "passed": least["low"] >= MUST,
        "equal": all(one["equal"] for one in found.values()),
        "rank": given.rank,
        "trials": given.trials,
        "datasets": found,
        "versions": versions() | told,
    }


def _judge(
    spark: SparkSession, uris: list[str], config: TrainingConfig, given: argparse.Namespace
) -> Figures:
    prepared = prepared_users(spark, uris, config)
    inner = share_of(spark, validation_split(prepared, config), config)
    outer = share_of(spark, prepared, config)
    sides = sides_of(config, len(inner.ids.user_ids), len(inner.ids.track_ids))
    lists: dict[str, list[Lists]] = {}
    tuned = {name: _tuned(name, side, inner, config, given.trials) for name, side in sides.items()}
    for seed in range(given.seeds):
        for name, side in sides.items():  # in turn
            if seed == 0 or name in ("ours", "implicit"):
                lists.setdefault(name, []).append(side.lists(outer, tuned[name].parameters, seed))
    lists["popularity"] = [ranked(popularity_scores(outer.ids.training_listeners), outer.judged)]
    return _figures(lists, tuned, outer, config.seed)


def _figures(lists: dict[str, list[Lists]], tuned: dict[str, Trial], outer: Share, seed: int) -> Figures:
    relevant = outer.judged.relevant
    by_seed = {
        name: np.array([user_metrics(one, relevant)["ndcg_at_10"] for one in several])
        for name, several in lists.items()
    }
    users = {name: values.mean(axis=0) for name, values in by_seed.items()}
    ratio = bootstrap_ratio(users["ours"], users["implicit"], seed=seed)
    return {
        "ratio": ratio.mean,
        "low": ratio.low,
        "high": ratio.high,
        # all ranked the same users, and nobody was shown what the training share holds
        "equal": all(_unseen(one, outer) for several in lists.values() for one in several),
        "split": outer.judged.split,
        "users": outer.judged.users,
        "items": len(outer.ids.track_ids),
        "ndcg_at_10": {name: interval_as_dict(bootstrap(one, seed=seed)) for name, one in users.items()},
        "by_seed": {name: [round(float(one.mean()), 5) for one in by_seed[name]] for name in by_seed},
        "tuned": {
            name: {"parameters": one.parameters, "validation_ndcg_at_10": one.value}
            for name, one in tuned.items()
        },
    }


def _tuned(name: str, side: Side, inner: Share, config: TrainingConfig, trials: int) -> Trial:
    def judge(parameters: Parameters) -> Trial:
        began = time.monotonic()
        lists = side.lists(inner, parameters, 0)
        return trial_of(parameters, began, user_metrics(lists, inner.judged.relevant), config.seed)

    def tell(trial: Trial) -> None:
        _say(f"  {name}: {trial.parameters} {trial.value:.4f} in {trial.seconds:.1f} s")

    made = run_trials(judge, side.space, side.first, config.seed, Budget(trials, np.inf), [], tell)
    best = best_of(made)
    assert best is not None
    return best


def _unseen(lists: Lists, share: Share) -> bool:
    """Say whether no list holds a track of its user's training share."""
    judged = share.judged
    for row, start, end in zip(lists, judged.offsets[:-1], judged.offsets[1:], strict=True):
        shown = judged.items[start:end][~judged.held_out[start:end]]
        if np.isin(row[row >= 0], shown).any():
            return False
    return True


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog=f"python -m bench {NAME}")
    parser.add_argument("--data", type=Path, default=hetrec_folder(), help="folder of HetRec Last.fm")
    parser.add_argument("--movielens", type=Path, help="folder of MovieLens-1M")
    parser.add_argument("--trials", type=int, default=20, help="of each contestant that is tuned")
    parser.add_argument("--rank", type=int, default=64)
    parser.add_argument("--seeds", type=int, default=3, help="fits of each ALS that are averaged")
    parser.add_argument("--json", action="store_true", help="accepted for uniformity")
    return parser.parse_args(arguments)
