"""``SEGUE_SPARK_MASTER``: a training on a standalone cluster gives the model that it gives here."""

import os
from pathlib import Path

import numpy as np
import pytest
from pyspark.sql import SparkSession

from connections.documents import open_documents
from connections.log_topics import ensure_topics
from connections.model_store import load_model, served
from connections.snapshot_store import SnapshotStore
from recommender.encoding import History
from recommender.model import Model
from schemas.settings import Settings
from tests.training.conftest import snapshot_of
from tests.training.listeners import tasteful
from tests.training.standalone import standalone_cluster
from tests.training.test_trainer import training_command
from training.comparison import overlaps
from training.configuration import SMALL_USERS, TrainingConfig
from training.fit import fit
from training.inputs import part_uris
from training.interactions import dense_ids, prepared_users, ratings


def fitted_here(spark: SparkSession, uris: list[str], config: TrainingConfig) -> Model:
    """Return the fit on everything by the session of this process, without its judgement."""
    prepared = prepared_users(spark, uris, config)
    ids = dense_ids(prepared)
    fitted = fit(ratings(spark, prepared, ids, training_only=False), config, config.rank)
    prepared.unpersist()
    known, listeners = np.ones(len(fitted.items), bool), ids.listeners[fitted.items]
    track_ids = ids.track_ids[fitted.items]
    return Model.build("here", track_ids, fitted.rows, known, listeners, config.reg_param, config.alpha)


@pytest.mark.slow
async def test_a_training_on_two_workers_of_a_standalone_master_gives_the_same_model(
    settings: Settings, spark: SparkSession, tmp_path: Path
) -> None:
    generation = await ensure_topics(settings)
    histories = tasteful(SMALL_USERS)  # enough for several blocks
    manifest = snapshot_of(settings, generation, histories)
    with standalone_cluster(tmp_path / "cluster") as master:
        os.environ["SEGUE_SPARK_MASTER"] = master
        try:
            code, _, errors = await training_command(settings, "train")
        finally:
            del os.environ["SEGUE_SPARK_MASTER"]
        assert code == 0, errors
        executors = {path.parent.name for path in (tmp_path / "cluster").glob("work-*/app-*")}
    assert executors == {"work-0", "work-1"}
    async with open_documents(settings) as database:
        pointer = await served(database)
        assert pointer is not None
        there = await load_model(database, pointer["model_id"])
    config = TrainingConfig.from_settings(settings, rank=8, max_iter=3).sized_for(manifest.users)
    assert config.blocks > 1
    here = fitted_here(spark, part_uris(SnapshotStore(settings.snapshot_location), manifest), config)
    assert here.track_ids.tolist() == there.track_ids.tolist()
    difference = np.abs(here.factor_rows - there.factor_rows).max() / np.abs(here.factor_rows).max()
    assert difference <= 1e-3
    sample = [History(data) for data in list(histories.values())[:200]]
    assert overlaps(here, there, sample).mean() >= 0.99
