"""One judgement without a training: the served model's parameters on a snapshot's split."""

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession
from rich.console import Console

from connections.documents import Database, open_documents
from connections.feature_store import stored_vectors
from connections.model_reports import save_report
from connections.model_store import model_document
from connections.snapshot_store import SnapshotStore
from recommender.model import PARAMETERS
from schemas.settings import Settings
from training.catalogue import catalogue_features
from training.configuration import TrainingConfig
from training.gate import Served
from training.inputs import (
    log_generation,
    part_uris,
    read_artists,
    read_served,
    using_snapshot,
)
from training.learning import assess
from training.report_page import Subject, check_writable, render, write_page
from training.session import in_spark
from training.tuned import NO_CHOICE, Choice, chosen_parameters

JUDGED = "judged"


async def evaluate(
    settings: Settings,
    snapshot_id: str,
    config: TrainingConfig,
    console: Console,
    choice: Choice = NO_CHOICE,
    path: Path | None = None,
) -> dict[str, Any]:
    """Judge on a snapshot's split, beside baselines and the served model; store the page with that model.

    A model cannot be judged on what it was fitted on. So a model with the served one's parameters is fitted
    on the training share alone; the served one itself stands beside it. Without one, the configuration is
    judged and nothing is stored.

    Parameters
    ----------
    choice : how the parameters are chosen where no model is in service
    path : where the page is written too

    Returns
    -------
    ``model_id`` of the served model or None, ``snapshot_id``, ``trained_on_this_snapshot_or_newer``,
    ``parameters``, ``evaluation``, ``report`` (the file) or None.

    Raises
    ------
    InvalidSnapshot, InvalidModel, InvalidInput, Unavailable, LogMismatch
    """
    if path is not None:
        check_writable(path)
    generation = await log_generation(settings)
    store = SnapshotStore(settings.snapshot_location)
    async with (
        open_documents(settings) as database,
        using_snapshot(database, store, generation, snapshot_id) as manifest,
    ):
        uris = part_uris(store, manifest)
        current = await read_served(database, generation)
        config = config.sized_for(manifest.users)
        if current is None:
            config, _ = await chosen_parameters(settings, database, manifest, config, choice, console)
        else:
            config = await _as_served(database, current, config)
        stored, artists = await stored_vectors(database), await read_artists(database)

        def work(spark: SparkSession) -> dict[str, Any]:
            features = catalogue_features(spark, settings, stored)
            return assess(spark, uris, config, features, current, console.print, artists)

        evaluation = await in_spark(settings, "judge", work, blocks=config.blocks)
        model_id = current.model.model_id if current else None
        parameters = {name: getattr(config, name) for name in PARAMETERS}
        now_ms = time.time_ns() // 1_000_000
        subject = Subject(model_id, JUDGED, None, manifest.snapshot_id, parameters, evaluation, now_ms)
        page = render(subject)
        if model_id is not None:
            await save_report(database, model_id, manifest.snapshot_id, page)
    if path is not None:
        write_page(path, page)
    return {
        "model_id": model_id,
        "snapshot_id": manifest.snapshot_id,
        "trained_on_this_snapshot_or_newer": bool(
            current and current.snapshot_s * 1000 >= manifest.holds_until_ms
        ),
        "parameters": parameters,
        "evaluation": evaluation,
        "report": str(path.resolve()) if path else None,
    }


async def _as_served(database: Database, current: Served, config: TrainingConfig) -> TrainingConfig:
    """Return the configuration with the parameters that the served model was fitted with."""
    document = await model_document(database, current.model.model_id)
    if document is None:
        return config
    return replace(
        config,
        rank=document["rank"],
        reg_param=document["reg_param"],
        alpha=document["alpha"],
        max_iter=document["max_iter"],
    )
