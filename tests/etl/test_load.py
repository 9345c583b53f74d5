"""Writing to MongoDB: repeated writes change nothing, collisions are refused."""

import pytest

from connections.documents import open_documents
from etl import load
from etl.ids import foreign_id, imported_user_id
from schemas.documents import Track
from schemas.errors import InvalidInput
from schemas.events import MAX_ID
from schemas.settings import Settings


def track(track_id: int, key: str, **fields: object) -> Track:
    document = Track(
        _id=track_id, title="T", artist="A", artist_id=1, album=None, genres=["G"], track_ms=1, licence=None,
        licence_url=None, source="own", source_key=key, source_url=None, audio=None,
    )  # fmt: skip
    document.update(fields)  # type: ignore[typeddict-item]
    return document


async def test_writing_tracks_twice_changes_nothing(settings: Settings) -> None:
    tracks = [track(n, str(n)) for n in range(1, 2501)]
    async with open_documents(settings) as database:
        assert await load.write_tracks(database, tracks, {}) == 2500
        assert await load.write_tracks(database, tracks, {}) == 0
        tracks[7]["title"] = "New"
        assert await load.write_tracks(database, tracks, {}) == 1


async def test_two_keys_with_one_id_are_refused(settings: Settings) -> None:
    async with open_documents(settings) as database:
        await load.write_tracks(database, [track(9, "first")], {})
        with pytest.raises(InvalidInput, match="track id 9 of own:second belongs to another track"):
            await load.write_tracks(database, [track(9, "second")], {})
        assert (await database["tracks"].find_one({"_id": 9}))["source_key"] == "first"


async def test_the_catalogue_changes_with_its_tracks_and_only_then(settings: Settings) -> None:
    async with open_documents(settings) as database:
        empty = await load.publish_catalogue(database, "own")
        await load.write_tracks(database, [track(1, "1")], {})
        one = await load.publish_catalogue(database, "own")
        same = await load.publish_catalogue(database, "own")
        await load.write_tracks(database, [track(1, "1", genres=["H"])], {})
        other = await load.publish_catalogue(database, "own")
    assert (empty["tracks"], one["tracks"]) == (0, 1)
    assert one == same
    assert len({empty["version"], one["version"], other["version"]}) == 3


async def test_the_version_depends_on_what_is_said_not_on_the_order_of_fields_or_time_stamps(
    settings: Settings,
) -> None:
    audio = {"path": "a.mp3", "mime": "audio/mpeg", "bytes": 5, "sha256": "0", "modified_ns": 1}
    said = dict(track(2, "2", audio=audio, removed_ms=3, genres=["G", "H"]))
    versions = []
    async with open_documents(settings) as database:
        for document in (
            said,
            dict(reversed(said.items())),
            said
            | {"audio": dict(reversed(audio.items())) | {"modified_ns": 9}, "peaks": [1], "licence_url": "x"},
            said | {"audio": audio | {"bytes": 6}},
            said | {"genres": ["H", "G"]},
            said | {"audio": None},
            {name: value for name, value in said.items() if name != "removed_ms"},
        ):
            await database["tracks"].delete_many({})
            await database["tracks"].insert_one(document)
            versions.append((await load.publish_catalogue(database, "own"))["version"])
    assert versions[0] == versions[1] == versions[2]
    assert len(set(versions)) == 5


async def test_a_reason_that_stays_keeps_its_time(settings: Settings) -> None:
    async with open_documents(settings) as database:
        rejected = database["rejected_tracks"]
        await load.write_rejected(database, "own", {"1": "cut: $half", "2": "silent"}, complete=True)
        await rejected.update_many({}, {"$set": {"updated_ms": 5}})
        await load.write_rejected(database, "own", {"1": "cut: $half", "2": "empty"}, complete=True)
        found = {each["_id"]: each async for each in rejected.find({})}
        assert found["own:1"] == {"_id": "own:1", "reason": "cut: $half", "updated_ms": 5}
        assert found["own:2"]["updated_ms"] > 5
        await load.write_rejected(database, "own", {"2": "empty"}, complete=True)
        assert [each["_id"] async for each in rejected.find({})] == ["own:2"]


def test_foreign_ids_are_stable_and_apart_from_fma() -> None:
    ids = [foreign_id("hetrec", str(n)) for n in range(20_000)]
    assert len(set(ids)) == 20_000
    assert all(2**32 <= each <= MAX_ID for each in ids)
    assert foreign_id("hetrec", "1") != foreign_id("demo", "1")
    assert imported_user_id("hetrec", "2") == imported_user_id("hetrec", "2")
    assert len(imported_user_id("hetrec", "2")) == 32
