"""Rows to a real mongod: once written they stay untouched, whatever happens on the way."""

import asyncio
from typing import Any

import pytest

from connections.documents import Database, open_documents
from etl.row_writer import RowWriter
from etl.rows import Described
from schemas.documents import Track
from schemas.errors import InvalidInput
from schemas.settings import Settings


def rows(count: int, **changes: Any) -> list[Described]:
    return [row(number, **changes) for number in range(1, count + 1)]


def row(number: int, **changes: Any) -> Described:
    track = Track(
        _id=number, title="T", artist="A", artist_id=1, album=None, genres=["G"], track_ms=9_000,
        licence=None, licence_url=None, source="fma", source_key=str(number), source_url=None, audio=None,
    )  # fmt: skip
    details = {"_id": number, "listens": 5, "album": {"id": 1, "tags": ["ä"]}}
    for name, value in changes.items():
        (track if name in track else details)[name] = value  # type: ignore[literal-required]
    return Described(track, details)  # type: ignore[arg-type]


async def write(database: Database, written: list[Described], size: int = 400) -> tuple[int, int]:
    writer = RowWriter(database)
    await writer.open()
    try:
        for start in range(0, len(written), size):
            await writer.write(written[start : start + size])
        await writer.close()
    finally:
        await writer.abandon()
    return writer.changed, writer.changed_details


async def everything(database: Database) -> list[Any]:
    return [
        [each async for batch in database[name].find_raw_batches({}, sort=[("_id", 1)]) for each in [batch]]
        for name in ("tracks", "track_details")
    ]


async def test_writing_twice_changes_nothing_and_only_what_differs_is_written(settings: Settings) -> None:
    async with open_documents(settings) as database:
        assert await write(database, rows(2500)) == (2500, 2500)
        first = await everything(database)
        assert await write(database, rows(2500)) == (0, 0)
        assert await everything(database) == first
        changed = rows(2500)
        changed[7], changed[9] = row(8, title="New"), row(10, listens=6, composer="C")
        assert await write(database, changed) == (1, 1)
        assert (await database["tracks"].find_one({"_id": 8}))["title"] == "New"
        assert await write(database, [row(10, listens=6)]) == (0, 1)
        assert "composer" not in await database["track_details"].find_one({"_id": 10})
        assert await write(database, changed + rows(2501)[2500:]) == (1, 2)


async def test_sound_and_its_length_stay_and_other_fields_too(settings: Settings) -> None:
    async with open_documents(settings) as database:
        await write(database, rows(3))
        sound = {"path": "a.mp3", "mime": "audio/mpeg", "bytes": 5}
        fields = {"audio": sound, "peaks": [1] * 200, "track_ms": 30_000, "removed_ms": 7}
        await database["tracks"].update_one({"_id": 2}, {"$set": fields})
        assert await write(database, rows(3)) == (0, 0)
        assert await write(database, rows(3, title="New", track_ms=8_000)) == (3, 0)
        found = await database["tracks"].find_one({"_id": 2})
        assert (found["title"], found["track_ms"], found["audio"], found["removed_ms"]) == (
            "New",
            30_000,
            sound,
            7,
        )
        assert found["peaks"] == [1] * 200
        assert (await database["tracks"].find_one({"_id": 1}))["track_ms"] == 8_000


async def test_large_ids_are_found_again(settings: Settings) -> None:
    large = [row(number) for number in (2**31 - 1, 2**31, 2**32 - 1)]
    async with open_documents(settings) as database:
        assert await write(database, large) == (3, 3)
        assert await write(database, large) == (0, 0)


async def test_two_writers_at_once_lose_nothing(settings: Settings) -> None:
    async with open_documents(settings) as database:
        counts = await asyncio.gather(*(write(database, rows(3000), size=300) for _ in range(2)))
        assert sum(changed for changed, _ in counts) == 3000
        assert await database["tracks"].count_documents({}) == 3000
        assert await write(database, rows(3000)) == (0, 0)


async def test_a_writer_that_is_stopped_anywhere_is_completed_by_the_next(settings: Settings) -> None:
    async with open_documents(settings) as database:
        for stop in (1, 3, 6):
            writer = RowWriter(database)
            await writer.open()
            for start in range(0, stop * 300, 300):
                await writer.write(rows(2400)[start : start + 300])
            await writer.abandon()
        await write(database, rows(2400))
        interrupted = await everything(database)
        await database["tracks"].delete_many({})
        await database["track_details"].delete_many({})
        await write(database, rows(2400))
        assert await everything(database) == interrupted


async def test_the_track_of_another_source_is_not_overwritten(settings: Settings) -> None:
    async with open_documents(settings) as database:
        await write(database, [row(2, source="own", source_key="x")])
        with pytest.raises(InvalidInput, match="track id 2 of fma:2 belongs to another track"):
            await write(database, rows(3))
        assert (await database["tracks"].find_one({"_id": 2}))["source_key"] == "x"
