"""Quality of ALS on HetRec Last.fm (real listeners): NDCG@10 and Recall@20 against popularity.

    python -m bench hetrec-quality [--data DIR] [--rank N] [--reg-param X] [--alpha X] [--max-iter N] --json

The counts go the way of the importer: one ``ImportedListens`` each through ``recommender.history.apply``,
then ``strength``; a random 80/20 split per user (seeded; the data have no times), the full catalogue ranked,
the training's own judgement. ``ratio`` is NDCG@10 of ALS over popularity on the same split.
"""

import argparse
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from bench._quality_data import hetrec_folder, hetrec_histories, write_parts
from recommender.metrics import bootstrap_ratio
from schemas.settings import Settings
from training.configuration import TrainingConfig, versions
from training.evaluation import Contest
from training.fit import fit
from training.interactions import dense_ids, judged_users, prepared_users, ratings
from training.judgement import judged_from
from training.learning import trial_model
from training.session import spark_session

NAME = "hetrec-quality"


def run(arguments: list[str]) -> dict[str, Any]:
    """Fit and judge; return the figures.

    Raises
    ------
    InvalidInput
        ``user_artists.dat`` is not there.
    """
    given = _parse(arguments)
    with tempfile.TemporaryDirectory(prefix="segue-hetrec-") as folder:
        settings = Settings(data_dir=Path(folder))
        config = TrainingConfig.from_settings(
            settings,
            rank=given.rank,
            reg_param=given.reg_param,
            alpha=given.alpha,
            max_iter=given.max_iter,
            seed=given.seed,
        )
        began = time.monotonic()
        histories = hetrec_histories(given.data)
        uris = write_parts(histories, Path(folder) / "parts")
        fold_s = time.monotonic() - began
        figures = _judge(settings, config, uris)
    figures |= {"fold_s": round(fold_s, 2), "config": asdict(config), "versions": versions()}
    return {"name": NAME} | figures


def _judge(settings: Settings, config: TrainingConfig, uris: list[str]) -> dict[str, Any]:
    with spark_session(settings, blocks=config.blocks) as spark:
        prepared = prepared_users(spark, uris, config)
        ids = dense_ids(prepared)
        judged = judged_from(judged_users(prepared, config.judged_users), ids.track_ids)
        rank = config.rank_for(len(ids.user_ids), len(ids.track_ids))
        training = ratings(spark, prepared, ids, training_only=True)
        first, second = fit(training, config, rank), fit(training, config, rank)
    contest = Contest.between(trial_model(first, ids, config), judged, ids, config.seed)
    gain = bootstrap_ratio(contest.model["ndcg_at_10"], contest.popular["ndcg_at_10"], seed=config.seed)
    return {
        "ratio": gain.mean,
        "low": gain.low,
        "high": gain.high,
        "equal": bool(np.array_equal(first.rows, second.rows)),  # same inputs, same factors
        "fit_s": round(first.fit_s, 2),
        "fit_again_s": round(second.fit_s, 2),
        **contest.as_dict(),
    }


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog=f"python -m bench {NAME}")
    parser.add_argument("--data", type=Path, default=hetrec_folder())
    parser.add_argument("--rank", type=int)
    parser.add_argument("--reg-param", type=float)
    parser.add_argument("--alpha", type=float)
    parser.add_argument("--max-iter", type=int)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--json", action="store_true", help="accepted for uniformity")
    return parser.parse_args(arguments)
