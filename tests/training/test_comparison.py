"""Two models side by side, on a real log, mongod and snapshot."""

import json

import numpy as np
import pytest

from connections.documents import open_documents
from connections.log_topics import ensure_topics
from connections.model_store import refuse_model, save_model
from recommender.encoding import History
from recommender.model import Model, canonical_arrays, model_digest
from schemas.errors import InvalidInput
from schemas.settings import Settings
from tests.training.conftest import WriteSnapshot
from tests.training.listeners import STYLES, TRACKS, tasteful
from tests.training.test_publication import ASKED
from training.comparison import compare_models, comparison_table, overlaps
from training.decisions import record_refusal

IDS = np.arange(1, TRACKS + 1)
NDCG = {"value": 0.5, "low": 0.4, "high": 0.6}


def styles(noise: float, seed: int = 0) -> np.ndarray:
    """Return factors that know the style of each track, and noise."""
    random = np.random.default_rng(seed)
    return np.eye(STYLES)[(IDS - 1) % STYLES] + noise * random.normal(size=(TRACKS, STYLES))


def built(rows: np.ndarray) -> Model:
    ones = np.ones(TRACKS)
    return Model.build("m", IDS, rows.astype(np.float32), ones.astype(bool), ones, 0.1, 1.0)


def test_a_model_agrees_with_itself_and_not_with_another_taste() -> None:
    histories = [History(data) for data in tasteful().values()]
    same = overlaps(built(styles(0.01)), built(styles(0.01)), histories)
    other = overlaps(built(styles(0.01)), built(styles(0.01)[::-1]), histories)
    assert (same == 1.0).all()
    assert len(same) == len(histories)
    assert other.mean() < 0.9  # by chance alone 20 of about 28 open tracks agree in part


def test_users_whom_a_model_does_not_know_are_not_counted() -> None:
    assert len(overlaps(built(styles(0.1)), built(styles(0.1)), [History.empty()])) == 0


async def test_two_stored_models_are_compared_in_every_respect(
    settings: Settings, write_snapshot: WriteSnapshot
) -> None:
    generation = await ensure_topics(settings)
    manifest = write_snapshot(settings, generation, tasteful())
    names = []
    async with open_documents(settings) as database:
        for seq, (noise, alpha, value) in enumerate(((0.05, 1.0, 0.5), (0.3, 2.0, 0.4)), 1):
            arrays = canonical_arrays(IDS, styles(noise, seq), np.ones(TRACKS, bool), np.ones(TRACKS))
            parameters = {"rank": STYLES, "reg_param": 0.1, "alpha": alpha, "max_iter": 3}
            figures = {"ndcg_at_10": NDCG | {"value": value}, "coverage": 0.5, "novelty_bits": 2.0}
            document = parameters | {
                "_id": model_digest(arrays, parameters), "training_id": f"t{seq}", "seq": seq,
                "snapshot_id": manifest.snapshot_id, "generation": generation, "created_ms": seq,
                "metrics": {
                    "model": figures, "split": {"kind": "time", "users": 40},
                    "snapshot": {"applied": 1_000, "users": 40}, "gate": {"popularity": "passed"},
                },
            }  # fmt: skip
            await save_model(database, document, arrays)
            names.append(document["_id"])
        refused = document | {"_id": "f" * 64, "items": 48, "seq": 3}
        await refuse_model(database, refused, "every judged user gets the same list")
        await record_refusal(database, "every judged user gets the same list", ASKED, refused)

    found = await compare_models(settings, names[0][:12], names[1][:12], 30)
    json.dumps(found)
    assert found["differences"] == ["alpha", "training_id"]
    assert found["same_split"]
    assert [found[side]["figures"]["ndcg_at_10"]["value"] for side in "ab"] == [0.5, 0.4]
    overlap = found["overlap_at_20"]
    assert overlap["users"] == 30
    assert 0.3 < overlap["low"] <= overlap["value"] <= overlap["high"] < 1.0
    assert comparison_table(found).row_count > 10

    refusal = await compare_models(settings, names[0], "f" * 64, 30)
    assert "refused: every judged user" in refusal["overlap_at_20"]["not_compared"]
    assert refusal["b"]["decisions"][0]["reason"] == "every judged user gets the same list"
    assert comparison_table(refusal).row_count > 10
    with pytest.raises(InvalidInput, match="no model begins with 0000"):
        await compare_models(settings, names[0], "0000", 30)
