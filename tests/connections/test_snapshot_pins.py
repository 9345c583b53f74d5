"""Snapshots in use, on a real mongod."""

from collections.abc import AsyncIterator

import pytest

from connections import snapshot_pins
from connections.documents import Database, open_documents
from connections.snapshot_pins import pinned, pinned_ids
from schemas.documents import SNAPSHOT_PINS
from schemas.settings import Settings


@pytest.fixture
async def database(settings: Settings) -> AsyncIterator[Database]:
    async with open_documents(settings) as opened:
        yield opened


async def test_a_snapshot_is_in_use_until_the_last_reader_lets_it_go(database: Database) -> None:
    async with pinned(database, "g", "s-1"):
        async with pinned(database, "g", "s-1"), pinned(database, "g", "s-2"), pinned(database, "h", "s-3"):
            assert await pinned_ids(database, "g") == {"s-1", "s-2"}
        assert await pinned_ids(database, "g") == {"s-1"}
    assert await pinned_ids(database, "g") == set()


async def test_a_pin_whose_process_died_ends_by_itself(database: Database) -> None:
    dead = {"_id": "s-1:dead", "generation": "g", "snapshot_id": "s-1", "until_ms": 1}
    await database[SNAPSHOT_PINS.name].insert_one(dead)
    assert await pinned_ids(database, "g") == set()
    assert await database[SNAPSHOT_PINS.name].count_documents({}) == 0


async def test_a_pin_is_renewed_as_long_as_somebody_reads(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshot_pins, "_RENEW_S", 0.05)
    pins = database[SNAPSHOT_PINS.name]
    async with pinned(database, "g", "s-1"):
        [first] = await pins.find({}).to_list(None)
        async with pins.watch(max_await_time_ms=10_000) as changes:
            change = await changes.next()
        assert change["operationType"] == "replace"
        [renewed] = await pins.find({}).to_list(None)
        assert renewed["until_ms"] > first["until_ms"]
