"""One training from a snapshot to a served or refused model."""

import asyncio
import time
from functools import partial
from typing import Any

from pyspark.sql import SparkSession
from rich.console import Console

from connections.documents import Database, open_documents
from connections.feature_store import stored_vectors
from connections.model_reports import save_report
from connections.model_store import load_model, model_document, next_seq, prune_models, refuse_model, served
from connections.snapshot_store import SnapshotStore
from recommender.model import PARAMETERS, model_digest
from schemas.errors import InvalidModel, SegueError, Unavailable
from schemas.settings import Settings
from schemas.snapshots import Manifest
from training.catalogue import catalogue_features
from training.configuration import TrainingConfig, training_id
from training.decisions import PUBLISHED, REFUSED, Asked, record_pruning, record_refusal
from training.estimate import Estimate
from training.inputs import (
    describe_inputs,
    log_generation,
    part_uris,
    read_artists,
    read_served,
    using_snapshot,
)
from training.learning import STEPS, Learned, Report, learn
from training.lease import training_lease
from training.progress import KIND, Progress, close_jobs
from training.publication import finish_activation, publish
from training.report_page import Subject, render
from training.session import in_spark
from training.tuned import KIND as TUNING
from training.tuned import NO_CHOICE, Choice, chosen_parameters
from training.tunings import Tuned


async def train(
    settings: Settings,
    snapshot_id: str,
    config: TrainingConfig,
    console: Console,
    asked: Asked,
    choice: Choice = NO_CHOICE,
) -> dict[str, Any]:
    """Train on a snapshot and publish the model, or refuse it with a reason.

    Parameters
    ----------
    asked : who wants it, and why: kept with the decision
    choice : how the parameters are chosen; ``config`` has those that were given

    Returns
    -------
    ``model_id``, ``state`` (``published`` or ``refused``), ``reason``, ``seq``, ``training_id``,
    ``snapshot_id``, ``rank``, ``evaluation``, ``seconds``.

    Raises
    ------
    InvalidSnapshot, InvalidModel, Unavailable, LogMismatch, MissingRequirement
    """
    began = time.monotonic()
    generation = await log_generation(settings)
    store = SnapshotStore(settings.snapshot_location)

    def waiting() -> None:
        console.print("waiting for another training to end")

    async with open_documents(settings) as database, training_lease(database, waiting):
        await _clean_up(settings, database, asked)
        async with using_snapshot(database, store, generation, snapshot_id) as manifest:
            config = config.sized_for(manifest.users)
            if choice.budget is not None:
                _enough_users(manifest, config)
            config, tuned = await chosen_parameters(settings, database, manifest, config, choice, console)
            result = await _train_on(settings, database, store, manifest, config, console, asked, tuned)
    return result | {"seconds": round(time.monotonic() - began, 1)}


async def _train_on(
    settings: Settings,
    database: Database,
    store: SnapshotStore,
    manifest: Manifest,
    config: TrainingConfig,
    console: Console,
    asked: Asked,
    tuned: Tuned | None,
) -> dict[str, Any]:
    stored = await stored_vectors(database)
    name = training_id(config, describe_inputs(manifest, stored))
    same = await _already_served(database, name, manifest)
    if same is not None:
        console.print("the served model was trained on exactly these inputs")
        return same
    current, artists = await read_served(database, manifest.generation), await read_artists(database)
    steps = STEPS + 2  # what learning reports, the start of Spark before it, the publication after it
    estimate = await Estimate.of_last(database, KIND, steps, manifest.counts.get("applied", 0))
    progress = Progress(database, f"training-{name[:16]}", steps, console, estimate=estimate)
    try:
        _enough_users(manifest, config)
        uris = await asyncio.to_thread(part_uris, store, manifest)
        report = _reporting(progress)

        def work(spark: SparkSession) -> Learned:
            features = catalogue_features(spark, settings, stored)
            return learn(spark, uris, config, features, current, report, artists)

        await progress.step("starting Spark")
        learned = await in_spark(settings, "train", work, blocks=config.blocks)
        learned.evaluation["tuning"] = tuned.as_dict() if tuned else None
        document = _document(learned, name, manifest, config)
        result = await _settle(settings, database, document, learned, progress, asked)
    except SegueError as error:
        await _end_without_model(database, progress, error, asked, manifest, name)
        raise
    await progress.end("done" if result["state"] == PUBLISHED else "refused", result["reason"] or "")
    return result


def _enough_users(manifest: Manifest, config: TrainingConfig) -> None:
    """Refuse before Spark starts what the manifest shows to be too little."""
    if manifest.users < config.min_users:
        raise InvalidModel(
            f"snapshot {manifest.snapshot_id} holds {manifest.users} users, too few to learn from; "
            f"{config.min_users} are needed"
        )


async def _end_without_model(
    database: Database, progress: Progress, error: SegueError, asked: Asked, manifest: Manifest, name: str
) -> None:
    """Leave the reason in the job, and a refusal among the decisions too."""
    refused = isinstance(error, InvalidModel)
    await progress.end(REFUSED if refused else "failed", str(error))
    if refused:
        training = {"snapshot_id": manifest.snapshot_id, "training_id": name}
        await record_refusal(database, str(error), asked, training)


async def _settle(
    settings: Settings,
    database: Database,
    document: dict[str, Any],
    learned: Learned,
    progress: Progress,
    asked: Asked,
) -> dict[str, Any]:
    """Publish, or leave the reason for the refusal; the page about the judgement is stored either way."""
    reason = "; ".join(learned.reasons) or None
    page = render(_subject(document, REFUSED if reason else PUBLISHED, reason))
    await save_report(database, document["_id"], document["snapshot_id"], page)
    if reason:
        numbered = document | {"seq": await next_seq(database)}
        await refuse_model(database, numbered, reason)
        await record_refusal(database, reason, asked, numbered)
        await _prune(settings, database, asked)
        return _result(document, REFUSED, reason, None)
    await progress.step("publishing the model")
    try:
        pointer = await publish(settings, database, document, learned.arrays, asked)
    except InvalidModel as error:  # not for the data's sake: somebody else published, or removed its chunks
        raise Unavailable(f"{error}; the model was good, but is not in service: train again") from error
    await _prune(settings, database, asked)
    return _result(document, PUBLISHED, None, pointer["seq"])


async def _clean_up(settings: Settings, database: Database, asked: Asked) -> None:
    """Finish or remove what a training that was killed left; who holds the lease may."""
    await finish_activation(settings, database)
    under_the_lease = {"kind": {"$in": [KIND, TUNING]}}
    await close_jobs(database, under_the_lease, "its process ended before it could say why")
    await _prune(settings, database, asked)


async def _prune(settings: Settings, database: Database, asked: Asked) -> None:
    keep = settings.models_kept
    await prune_models(database, keep, partial(record_pruning, database, keep, asked))


def _document(learned: Learned, name: str, manifest: Manifest, config: TrainingConfig) -> dict[str, Any]:
    parameters = {
        "rank": learned.rank,
        "reg_param": config.reg_param,
        "alpha": config.alpha,
        "max_iter": config.max_iter,
    }
    snapshot = {
        "created_ms": manifest.created_ms,
        "holds_until_ms": manifest.holds_until_ms,
        "applied": manifest.counts.get("applied", 0),
        "users": manifest.users,
    }
    return parameters | {
        "_id": model_digest(learned.arrays, parameters),
        "seq": 0,  # given when it is settled
        "training_id": name,
        "snapshot_id": manifest.snapshot_id,
        "generation": manifest.generation,
        "items": len(learned.arrays["track_ids"]),
        "metrics": learned.evaluation | {"snapshot": snapshot},
        "created_ms": time.time_ns() // 1_000_000,
    }


def _subject(document: dict[str, Any], state: str, reason: str | None) -> Subject:
    return Subject(
        model_id=document["_id"],
        state=state,
        reason=reason,
        snapshot_id=document["snapshot_id"],
        parameters={name: document[name] for name in PARAMETERS},
        evaluation=document["metrics"],
        created_ms=document["created_ms"],
    )


def _result(document: dict[str, Any], state: str, reason: str | None, seq: int | None) -> dict[str, Any]:
    return {
        "model_id": document["_id"],
        "state": state,
        "reason": reason,
        "seq": seq,
        "training_id": document["training_id"],
        "snapshot_id": document["snapshot_id"],
        "rank": document["rank"],
        "evaluation": document["metrics"],
    }


async def _already_served(database: Database, name: str, manifest: Manifest) -> dict[str, Any] | None:
    """Return the result again when the served model was made of the same inputs and configuration."""
    pointer = await served(database)
    document = await model_document(database, pointer["model_id"]) if pointer else None
    if pointer is None or document is None or document["training_id"] != name:
        return None
    try:
        await load_model(database, pointer["model_id"])
    except InvalidModel:
        return None  # it is damaged: made again, it is whole
    found = dict(document) | {"snapshot_id": manifest.snapshot_id}
    return _result(found, PUBLISHED, None, pointer["seq"])


def _reporting(progress: Progress) -> Report:
    """Return a function that a thread may call to begin a step."""
    loop = asyncio.get_running_loop()

    def report(message: str) -> None:
        asyncio.run_coroutine_threadsafe(progress.step(message), loop).result()

    return report
