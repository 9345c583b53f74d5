"""Models on a real mongod: what is saved is what is loaded, and nothing damaged is ever served."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
import pytest

from connections.documents import Database, open_documents, wait_until_writable
from connections.model_chunks import CHUNK_BYTES
from connections.model_store import (
    load_model,
    model_document,
    move_pointer,
    next_seq,
    prune_models,
    refuse_model,
    save_model,
    served,
)
from recommender.model import canonical_arrays, model_digest
from schemas.errors import DocumentsUnavailable, InvalidModel
from schemas.settings import Settings


@pytest.fixture
async def database(settings: Settings) -> AsyncIterator[Database]:
    async with open_documents(settings) as opened:
        await wait_until_writable(opened)
        yield opened
        await opened.client.drop_database(opened.name)


def small(seed: int, seq: int, tracks: int = 7, rank: int = 3) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return document and arrays of a small valid model."""
    random = np.random.default_rng(seed)
    arrays = canonical_arrays(
        np.arange(1, tracks + 1) * 10,
        random.standard_normal((tracks, rank)),
        np.arange(tracks) % 3 > 0,
        np.arange(tracks),
    )
    document = {
        "seq": seq, "training_id": f"training-{seed}", "snapshot_id": "snapshot", "generation": "log",
        "rank": rank, "reg_param": 0.1, "alpha": 10.0, "max_iter": 5, "metrics": {}, "created_ms": 1,
    }  # fmt: skip
    document["_id"] = model_digest(arrays, document)
    return document, arrays


async def published(database: Database, seed: int, seq: int) -> str:
    document, arrays = small(seed, seq)
    await save_model(database, document, arrays)
    return str(document["_id"])


async def test_a_saved_model_is_loaded_bit_by_bit(database: Database) -> None:
    document, arrays = small(1, 1)

    await save_model(database, document, arrays)
    model = await load_model(database, document["_id"])

    assert model.model_id == document["_id"]
    assert (model.reg_param, model.alpha, model.rank) == (0.1, 10.0, 3)
    assert model.track_ids.tolist() == arrays["track_ids"].tolist()
    assert model.factor_rows.tobytes() == arrays["item_factors"].tobytes()
    assert model.fitted.tolist() == arrays["fitted"].tolist()
    assert model.popularity.tolist() == arrays["popularity"].tolist()
    stored = await model_document(database, document["_id"])
    assert stored is not None
    assert (stored["items"], stored["state"], stored["reason"]) == (7, "published", None)


async def test_a_large_model_lies_in_chunks_of_at_most_four_mebibytes(database: Database) -> None:
    document, arrays = small(2, 1, tracks=40_000, rank=64)

    await save_model(database, document, arrays)
    sizes = [len(chunk["data"]) async for chunk in database["model_chunks"].find()]
    model = await load_model(database, document["_id"])

    assert model.factor_rows.tobytes() == arrays["item_factors"].tobytes()
    assert max(sizes) == CHUNK_BYTES == 4 * 2**20
    assert sum(sizes) == sum(array.nbytes for array in arrays.values())


async def test_saving_again_changes_nothing(database: Database) -> None:
    document, arrays = small(1, 1)

    await save_model(database, document, arrays)
    await save_model(database, document, arrays)

    assert await database["models"].count_documents({}) == 1
    assert (await load_model(database, document["_id"])).model_id == document["_id"]


async def test_an_id_that_is_not_the_digest_is_refused(database: Database) -> None:
    document, arrays = small(1, 1)

    with pytest.raises(InvalidModel, match="not the digest"):
        await save_model(database, document | {"alpha": 11.0}, arrays)

    assert await database["model_chunks"].count_documents({}) == 0


async def test_a_missing_model_is_not_loaded(database: Database) -> None:
    with pytest.raises(InvalidModel, match="missing"):
        await load_model(database, "no such model")


async def test_a_changed_chunk_is_found(database: Database) -> None:
    model_id = await published(database, 1, 1)
    key = {"_id": f"{model_id}:item_factors:0"}
    chunk = await database["model_chunks"].find_one(key)
    assert chunk is not None
    damaged = bytes([chunk["data"][0] ^ 1]) + chunk["data"][1:]
    await database["model_chunks"].update_one(key, {"$set": {"data": damaged}})

    with pytest.raises(InvalidModel, match="item_factors:0 is corrupt"):
        await load_model(database, model_id)


async def test_a_lost_chunk_is_found(database: Database) -> None:
    model_id = await published(database, 1, 1)
    await database["model_chunks"].delete_one({"_id": f"{model_id}:fitted:0"})

    with pytest.raises(InvalidModel, match="fitted:0 is missing"):
        await load_model(database, model_id)


@pytest.mark.parametrize(
    ("field", "value", "found"),
    [
        ("reg_param", 0.2, "digest"),
        ("shapes.item_factors", [3, 7], "belong"),
        ("shapes.fitted", [8], "does not fit"),
        ("chunks.popularity", [], "does not fit"),
    ],
)
async def test_a_changed_document_is_found(database: Database, field: str, value: Any, found: str) -> None:
    model_id = await published(database, 1, 1)
    await database["models"].update_one({"_id": model_id}, {"$set": {field: value}})

    with pytest.raises(InvalidModel, match=f"digest|{found}"):
        await load_model(database, model_id)


async def test_the_pointer_moves_only_to_a_greater_number(database: Database) -> None:
    first, second, third = [await published(database, seed, seed) for seed in (1, 2, 3)]
    assert await served(database) is None

    moved = [await move_pointer(database, second, 2), await move_pointer(database, first, 1)]
    again = await move_pointer(database, second, 2)
    taken = await move_pointer(database, third, 2)

    assert (moved, again, taken) == ([True, False], True, False)
    pointer = await served(database)
    assert pointer is not None
    assert (pointer["model_id"], pointer["seq"]) == (second, 2)


async def test_of_two_publications_at_once_the_greater_number_stays(database: Database) -> None:
    models = [await published(database, seed, seed) for seed in range(1, 9)]

    await asyncio.gather(*(move_pointer(database, model, seq) for seq, model in enumerate(models, 1)))

    pointer = await served(database)
    assert pointer is not None
    assert (pointer["model_id"], pointer["seq"]) == (models[-1], 8)


async def test_the_pointer_never_moves_to_a_model_that_is_not_published(database: Database) -> None:
    document, _ = small(1, 1)
    await refuse_model(database, document, "worse than popularity")

    with pytest.raises(InvalidModel, match="not published"):
        await move_pointer(database, document["_id"], 1)
    with pytest.raises(InvalidModel, match="not published"):
        await move_pointer(database, "no such model", 1)

    assert await served(database) is None


async def test_numbers_are_given_once_and_grow_beyond_what_is_in_use(database: Database) -> None:
    model_id = await published(database, 1, seq=41)
    await move_pointer(database, model_id, 57)

    numbers = await asyncio.gather(*(next_seq(database) for _ in range(20)))

    assert sorted(numbers) == list(range(58, 78))


async def test_a_refused_model_leaves_its_reason_and_cannot_be_loaded(database: Database) -> None:
    document, _ = small(1, 3)

    await refuse_model(database, document, "NDCG@10 0.01 is below popularity's 0.08")

    stored = await model_document(database, document["_id"])
    assert stored is not None
    assert (stored["state"], stored["reason"]) == ("refused", "NDCG@10 0.01 is below popularity's 0.08")
    with pytest.raises(InvalidModel, match="refused: NDCG@10"):
        await load_model(database, document["_id"])


async def test_refusing_does_not_touch_a_published_model_of_the_same_factors(database: Database) -> None:
    document, arrays = small(1, 1)
    await save_model(database, document, arrays)

    await refuse_model(database, document, "not better this time")

    assert (await load_model(database, document["_id"])).model_id == document["_id"]


async def test_pruning_keeps_the_newest_and_the_served_model(database: Database) -> None:
    models = [await published(database, seed, seed) for seed in range(1, 7)]
    await move_pointer(database, models[1], 2)
    await refuse_model(database, small(9, 9)[0], "refused")

    removed = await prune_models(database, keep=2)

    left = {document["_id"] async for document in database["models"].find({"state": "published"})}
    assert left == {models[1], models[4], models[5]}
    assert set(removed) == {models[0], models[2], models[3]}
    for model_id in left:
        assert (await load_model(database, model_id)).model_id == model_id
    assert set(await database["model_chunks"].distinct("model_id")) == left
    assert await database["models"].count_documents({"state": "refused"}) == 1


async def test_pruning_removes_what_a_killed_publication_left(database: Database) -> None:
    model_id = await published(database, 1, 1)
    orphan = {"_id": "dead:item_factors:0", "model_id": "dead", "data": b"x"}
    await database["model_chunks"].insert_one(orphan)

    await prune_models(database, keep=2)

    assert await database["model_chunks"].distinct("model_id") == [model_id]


async def test_an_absent_mongod_is_named() -> None:
    nowhere = Settings(mongodb_url="mongodb://127.0.0.1:9/?serverSelectionTimeoutMS=100")

    async with open_documents(nowhere) as database:
        with pytest.raises(DocumentsUnavailable, match="did not answer"):
            await served(database)
