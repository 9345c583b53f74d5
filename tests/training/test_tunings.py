"""Searches for parameters in a real mongod and a real Spark."""

import asyncio
from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

import pytest
from msgspec import structs
from pyspark.sql import SparkSession
from rich.console import Console

from connections.documents import open_documents
from connections.snapshot_store import SnapshotStore
from schemas.errors import Unavailable
from schemas.settings import Settings
from schemas.snapshots import Manifest
from tests.training.conftest import WriteSnapshot
from tests.training.listeners import tasteful
from training import tuned
from training.configuration import Split, TrainingConfig
from training.inputs import part_uris
from training.search import Trial
from training.trials import Budget, tune
from training.tuned import Choice, chosen_parameters
from training.tunings import (
    DONE,
    RUNNING,
    explicit_parameters,
    fresh_result,
    is_stale,
    new_tuning,
    store,
    unfinished,
)

CONFIG = TrainingConfig(rank=8, reg_param=0.3, alpha=1.0, max_iter=5, seed=7, blocks=1)
NOTHING: frozenset[str] = frozenset()


def trial(number: int) -> Trial:
    return Trial({"rank": 8 + number, "reg_param": 0.1}, number / 10, 0.0, 1.0, 1.0)


def grown(manifest: Manifest, *, applied: int, snapshot_id: str = "s-9") -> Manifest:
    """Return a later manifest of the same log."""
    counts = [{"applied": applied}, *({} for _ in manifest.parts[1:])]
    parts = [structs.replace(part, counts=one) for part, one in zip(manifest.parts, counts, strict=True)]
    return structs.replace(manifest, snapshot_id=snapshot_id, parts=parts)


def test_the_hold_out_of_the_judgement_has_no_part_in_tuning(
    spark: SparkSession, tmp_path_factory: pytest.TempPathFactory, write_snapshot: WriteSnapshot
) -> None:
    settings = Settings(data_dir=tmp_path_factory.mktemp("world"))
    manifest = write_snapshot(settings, "g", tasteful())
    uris = part_uris(SnapshotStore(settings.snapshot_location), manifest)
    seen: list[Trial] = []
    first = tune(spark, uris, CONFIG, frozenset({"rank", "max_iter"}), Budget(2, 600), [], seen.append)
    assert first == seen
    assert [set(one.parameters) for one in first] == [{"reg_param", "alpha"}] * 2
    assert first[0].parameters == {"reg_param": 0.3, "alpha": 1.0}
    assert first[0].low < first[0].value < first[0].high
    assert first[0].value > 0.3
    # gone on with: the first trial is not made again
    again = tune(spark, uris, CONFIG, frozenset({"rank", "max_iter"}), Budget(2, 600), first[:1], seen.append)
    assert [one.parameters for one in again] == [one.parameters for one in first]
    assert [one.value for one in again] == [one.value for one in first]
    assert len(seen) == 3
    # no time is left: no trial is begun
    assert tune(spark, uris, CONFIG, NOTHING, Budget(5, 0.0), first, seen.append) == first


async def test_a_search_that_was_killed_goes_on_and_one_of_other_settings_does_not(
    settings: Settings, write_snapshot: WriteSnapshot
) -> None:
    manifest = write_snapshot(settings, "g", tasteful(6), applied=1_000)
    async with open_documents(settings) as database:
        begun = new_tuning(manifest, CONFIG, NOTHING, 5)
        begun["trials"] += [asdict(trial(1)), asdict(trial(2))]
        await store(database, begun, CONFIG)
        later = grown(manifest, applied=1_400)
        found = await unfinished(database, new_tuning(later, CONFIG, NOTHING, 5), later)
        assert (found["snapshot_id"], len(found["trials"])) == ("s-0001", 2)
        other = new_tuning(later, replace(CONFIG, seed=8), NOTHING, 5)
        assert await unfinished(database, other, later) is other
        outgrown = grown(manifest, applied=1_600)
        fresh = new_tuning(outgrown, CONFIG, frozenset({"rank"}), 5)
        assert await unfinished(database, fresh, outgrown) is fresh
        assert await fresh_result(database, manifest, CONFIG.split) is None  # not done


async def test_the_search_with_the_most_trials_on_the_same_kind_of_split_is_reused(
    settings: Settings, write_snapshot: WriteSnapshot
) -> None:
    manifest = write_snapshot(settings, "g", tasteful(6), applied=1_000)
    later = replace(CONFIG, split=Split.GLOBAL)
    async with open_documents(settings) as database:
        for config, snapshot_id, trials in ((CONFIG, "s-1", 3), (CONFIG, "s-2", 1), (later, "s-3", 5)):
            done = new_tuning(grown(manifest, applied=1_000, snapshot_id=snapshot_id), config, NOTHING, 5)
            done["_id"], done["state"] = snapshot_id, DONE
            done["trials"] += [asdict(trial(number)) for number in range(trials)]
            await store(database, done, config)
        found = {split: await fresh_result(database, manifest, split) for split in Split}
    assert {split: one and (one.tuning_id, one.trials) for split, one in found.items()} == {
        Split.LATEST: ("s-1", 3), Split.GLOBAL: ("s-3", 5),
    }  # fmt: skip


async def test_a_result_is_reused_until_the_log_has_outgrown_it_and_what_was_given_stays(
    settings: Settings, write_snapshot: WriteSnapshot
) -> None:
    manifest = write_snapshot(settings, "g", tasteful(6), applied=1_000)
    async with open_documents(settings) as database:
        done = new_tuning(manifest, CONFIG, NOTHING, 2)
        done["trials"] += [asdict(trial(4)), asdict(trial(2))]
        done["state"] = DONE
        await store(database, done, CONFIG)
        console = Console(quiet=True)
        choice = Choice(frozenset({"reg_param"}))
        config, found = await chosen_parameters(settings, database, manifest, CONFIG, choice, console)
        assert found is not None
        assert (found.value, found.trials, found.snapshot_id) == (0.4, 2, "s-0001")
        assert (config.rank, config.reg_param, config.alpha, config.max_iter) == (12, 0.3, 1.0, 5)
        done["fixed"] = {"rank": 12}
        await store(database, done, CONFIG)
        config, found = await chosen_parameters(settings, database, manifest, CONFIG, Choice(), console)
        assert found is not None
        assert found.parameters["rank"] == 12
        assert (config.rank, config.max_iter) == (8, 5), "what was given to that search was not found by it"
        done["fixed"] = {}
        await store(database, done, CONFIG)
        for applied, stale in ((1_500, False), (1_501, True)):
            later = grown(manifest, applied=applied)
            assert is_stale(done, later) is stale
            config, found = await chosen_parameters(settings, database, later, CONFIG, Choice(), console)
            assert (found is None) is stale
            assert config.rank == (8 if stale else 12)
        assert is_stale(done, structs.replace(manifest, generation="another"))


async def test_each_trial_is_stored_before_the_next_begins_and_an_outage_keeps_them(
    settings: Settings, write_snapshot: WriteSnapshot, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = write_snapshot(settings, "g", tasteful(6))
    made: list[int] = []

    async def in_spark(_: object, __: object, work: Callable[[None], object], *, blocks: int) -> None:
        await asyncio.to_thread(work, None)

    def two_trials(*given: Any) -> None:
        """Stand for Spark: two trials; after the first two the virtual machine dies."""
        for _ in range(2):
            made.append(len(made))
            given[-1](trial(len(made)))
        if len(made) == 2:
            raise Unavailable("Spark's virtual machine died")

    monkeypatch.setattr(tuned, "tune", two_trials)
    monkeypatch.setattr(tuned, "in_spark", in_spark)
    async with open_documents(settings) as database:
        choice = Choice(NOTHING, Budget(4, 60))
        console = Console(quiet=True)
        with pytest.raises(Unavailable):
            await chosen_parameters(settings, database, manifest, CONFIG, choice, console)
        [stored] = await database["tunings"].find({}).to_list(None)
        assert (stored["state"], len(stored["trials"]), stored["best"]["value"]) == (RUNNING, 2, 0.2)
        [job] = await database["jobs"].find({"kind": "tuning"}).to_list(None)
        assert (job["state"], job["done"], job["total"]) == ("failed", 2, 4)
        _, found = await chosen_parameters(settings, database, manifest, CONFIG, choice, console)
        assert found is not None
        assert (found.trials, found.value) == (4, 0.4)


def test_flags_and_environment_variables_are_explicit_and_defaults_are_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("SEGUE_RANK", raising=False)
    monkeypatch.setenv("SEGUE_ALPHA", "2")
    found = explicit_parameters(Settings(), rank=None, reg_param=0.5, max_iter=None)
    assert found == {"alpha", "reg_param"}
