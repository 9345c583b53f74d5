"""What is kept of decisions: once each, with reason and actor, whatever is killed or repeated."""

import pytest

from connections.documents import Database
from connections.model_store import move_pointer, prune_models, save_model
from schemas.settings import Settings
from tests.training.test_publication import ASKED, model
from training.decisions import (
    asked_by_command,
    decision,
    decisions_about,
    record,
    record_pruning,
    record_refusal,
)
from training.publication import finish_activation


async def test_a_decision_recorded_again_stays_as_it_was_first(database: Database) -> None:
    first = decision("served:1", "published", "passed the gate", ASKED, {"_id": "m"}, seq=1)
    await record(database, first)
    await record(database, first | {"reason": "another", "at_ms": 1})  # type: ignore[typeddict-item]
    assert await decisions_about(database, "m", 10) == [first]


async def test_a_kill_between_the_pointer_and_the_record_loses_no_decision(
    settings: Settings, database: Database
) -> None:
    document, arrays = model(1)
    await save_model(database, document | {"seq": 1}, arrays)
    decided = decision("served:1", "published", "passed the gate", ASKED, document, seq=1)
    assert await move_pointer(database, document["_id"], 1, decided)
    assert await decisions_about(database, None, 10) == []
    assert await finish_activation(settings, database)
    assert await decisions_about(database, document["_id"], 10) == [decided]


async def test_refusals_and_pruned_models_keep_their_reasons(database: Database) -> None:
    documents = [model(number) for number in range(1, 5)]
    for seq, (document, arrays) in enumerate(documents, 1):
        await save_model(database, document | {"seq": seq}, arrays)
    await record_refusal(database, "worse", ASKED, {"training_id": "t" * 64, "snapshot_id": "s"})

    async def note(leaving: object) -> None:
        await record_pruning(database, 2, ASKED, leaving)  # type: ignore[arg-type]
        await record_pruning(database, 2, ASKED, leaving)  # type: ignore[arg-type]

    gone = await prune_models(database, 2, note)
    decided = await decisions_about(database, None, 10)
    assert {one["model_id"] for one in decided if one["kind"] == "pruned"} == set(gone)
    assert len([one for one in decided if one["kind"] == "pruned"]) == len(gone) == 2
    assert all("more than 2 newer published models" in one["reason"] for one in decided if one["seq"])
    [refused] = [one for one in decided if one["kind"] == "refused"]
    assert (refused["reason"], refused["model_id"]) == ("worse", None)


def test_a_command_is_named_with_who_called_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGNAME", "ada")
    assert asked_by_command("models rollback").actor == "ada by segue models rollback"
    assert asked_by_command("train", "new music").because == "new music"
