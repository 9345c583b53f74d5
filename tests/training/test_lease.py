"""One holder at a time, on a real mongod."""

import asyncio
import time

import pytest

from connections.documents import Database
from schemas.documents import LEASES
from schemas.errors import Unavailable
from training.lease import lease


async def take_away(database: Database, name: str) -> None:
    """Let another process have a lease, as after a pause of this one."""
    theirs = {"holder": "another", "until_ms": int(time.time() * 1000) + 60_000}
    await database[LEASES.name].update_one({"_id": name}, {"$set": theirs})


async def test_what_is_done_under_a_lease_ends_when_another_process_has_it(database: Database) -> None:
    ended: list[str] = []

    async def work() -> None:
        async with lease(database, "training", lambda: None, renew_s=0.05):
            await take_away(database, "training")
            try:
                await asyncio.sleep(30)
            except asyncio.CancelledError:
                ended.append("the work")
                raise

    with pytest.raises(Unavailable, match="another process took it"):
        await work()
    assert ended == ["the work"]
    left = await database[LEASES.name].find_one({"_id": "training"})
    assert left is not None
    assert left["holder"] == "another", "only the holder lets it go"


async def test_a_lease_is_renewed_while_it_is_held_and_let_go_afterwards(database: Database) -> None:
    leases = database[LEASES.name]
    async with lease(database, "training", lambda: None, renew_s=0.05):
        first = await leases.find_one({"_id": "training"})
        assert first is not None
        while (await leases.find_one({"_id": "training"}))["until_ms"] == first["until_ms"]:  # type: ignore[index]
            await asyncio.sleep(0.02)
    assert await leases.find_one({"_id": "training"}) is None


async def test_a_time_limit_of_the_work_itself_is_not_taken_for_a_lost_lease(database: Database) -> None:
    with pytest.raises(TimeoutError):
        async with lease(database, "training", lambda: None), asyncio.timeout(0.01):
            await asyncio.sleep(30)
