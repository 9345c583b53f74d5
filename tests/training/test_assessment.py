"""A judgement and its page, from a real training on a real log, mongod and Spark."""

import asyncio
import json
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from pyspark.sql import SparkSession
from rich.console import Console

from connections.documents import open_documents
from connections.log_topics import ensure_topics
from connections.model_reports import load_report
from schemas.settings import Settings
from tests.training.conftest import WriteSnapshot
from tests.training.listeners import tasteful
from tests.training.test_trainer import ROOT, environment
from training import assessment, pipeline, tuned
from training.assessment import evaluate
from training.configuration import TrainingConfig
from training.decisions import Asked
from training.pipeline import train
from training.trials import Budget
from training.tuned import Choice

CONFIG = TrainingConfig(rank=8, reg_param=0.3, alpha=1.0, max_iter=3, seed=7, blocks=1)


@pytest.fixture
def shared_spark(spark: SparkSession, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let trainings use the one session of the run: no virtual machine starts."""

    async def in_spark(_: object, __: object, work: Callable[[SparkSession], Any], *, blocks: int) -> Any:
        return await asyncio.to_thread(work, spark)

    for module in (assessment, pipeline, tuned):
        monkeypatch.setattr(module, "in_spark", in_spark)


async def shown(settings: Settings, *arguments: str) -> tuple[int, str]:
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "training", "models", "show", *arguments, cwd=ROOT,
        env=environment(settings), stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, _ = await child.communicate()
    assert child.returncode is not None
    return child.returncode, out.decode()


async def test_a_tuned_training_stores_its_page_and_a_later_judgement_takes_its_place(
    settings: Settings, write_snapshot: WriteSnapshot, shared_spark: None
) -> None:
    console = Console(quiet=True)
    generation = await ensure_topics(settings)
    write_snapshot(settings, generation, tasteful())
    choice = Choice(frozenset({"rank", "max_iter"}), Budget(2, 600))
    result = await train(settings, "newest", CONFIG, console, Asked("test", "test"), choice)
    assert result["state"] == "published"
    tuning = result["evaluation"]["tuning"]
    assert (tuning["trials"], tuning["parameters"]["rank"]) == (2, 8)
    model_id = result["model_id"]
    pages = [settings.data_dir / name for name in ("judged.html", "stored.html")]
    async with open_documents(settings) as database:
        trained = await load_report(database, model_id)
        stored = await database["models"].find_one({"_id": model_id})
        assert stored is not None
        assert stored["alpha"] == tuning["parameters"]["alpha"]
        job = await database["jobs"].find_one({"kind": "training"})
        assert job is not None
        assert (job["state"], job["done"], len(job["step_s"])) == ("done", job["total"], job["total"])
    assert f"Model {model_id[:12]}" in trained
    assert "Published on" in trained

    other = replace(CONFIG, rank=3, alpha=9.0)
    found = await evaluate(settings, "newest", other, console, path=pages[0])
    json.dumps(found)
    assert (found["model_id"], found["report"]) == (model_id, str(pages[0].resolve()))
    assert found["trained_on_this_snapshot_or_newer"]
    # the served model's parameters are judged, not those of the settings
    assert found["parameters"] == tuning["parameters"]
    assert list(found["evaluation"]["against"]) == [
        "model", "served", "item_knn", "decayed_popularity", "popularity",
    ]  # fmt: skip
    # the same fit on the same split as before the publication
    assert found["evaluation"]["model"]["ndcg_at_10"] == result["evaluation"]["model"]["ndcg_at_10"]

    code, out = await shown(settings, model_id[:12], "--report", str(pages[1]))
    assert code == 0
    assert str(pages[1]) in out.replace("\n", "")
    assert pages[1].read_text() == pages[0].read_text()
    assert "Judged on" in pages[1].read_text()


async def test_without_a_served_model_the_settings_are_judged_and_nothing_is_stored(
    settings: Settings, write_snapshot: WriteSnapshot, shared_spark: None
) -> None:
    generation = await ensure_topics(settings)
    write_snapshot(settings, generation, tasteful())
    found = await evaluate(settings, "newest", CONFIG, Console(quiet=True))
    assert (found["model_id"], found["report"]) == (None, None)
    assert found["parameters"] == {"alpha": 1.0, "max_iter": 3, "rank": 8, "reg_param": 0.3}
    assert "served" not in found["evaluation"]["against"]
    async with open_documents(settings) as database:
        assert await database["model_reports"].count_documents({}) == 0
