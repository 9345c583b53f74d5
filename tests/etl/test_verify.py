"""Whatever is wrong between documents and files is found, named and counted; what is right is not."""

import hashlib
import json
import os
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest

from connections.documents import Database, open_documents
from connections.feature_store import Standardisation
from etl import own, verify
from schemas.settings import Settings
from tests.etl.own_music import documents, write_song
from tests.etl.test_cli import etl

SCALER = Standardisation.named("v1", 1, 3, np.zeros(4), np.ones(4))


@pytest.fixture
async def database(settings: Settings) -> AsyncIterator[Database]:
    async with open_documents(settings) as opened:
        yield opened
        await opened.client.drop_database(settings.mongodb_database)


@pytest.fixture
async def world(database: Database, tmp_path: Path) -> Database:
    """Return a catalogue of four tracks with sound and one without, in which all is right."""
    for number in range(1, 5):
        content = bytes([number]) * 100
        (tmp_path / f"{number}.ogg").write_bytes(content)
        audio = {"path": f"{number}.ogg", "mime": "audio/ogg", "bytes": 100}
        if number > 1:
            audio["sha256"] = hashlib.sha256(content).hexdigest()
        await database["tracks"].insert_one({"_id": number, "source": "test", "audio": audio})
        await database["features"].insert_one(feature(number))
    await database["tracks"].insert_one({"_id": 5, "source": "test", "audio": None, "removed_ms": 1})
    await database["scalers"].insert_one(
        {
            "_id": SCALER.scaler_id,
            "version": "v1",
            "revision": 1,
            "count": 3,
            "mean": [0.0] * 4,
            "scale": [1.0] * 4,
            "created_ms": 1,
        }
    )
    await database["catalogue"].insert_one({"_id": "catalogue", "version": "x", "tracks": 5})
    await database["rejected_tracks"].insert_one({"_id": "test:9", "reason": "silent: x"})
    return database


def feature(track_id: int, length: int = 4) -> dict:
    vector = [float(track_id)] * length
    return {
        "_id": track_id,
        "version": "v1",
        "raw": vector,
        "scaled": vector,
        "scaler_id": SCALER.scaler_id,
    }


async def test_a_catalogue_that_is_right_is_counted_and_left_alone(world: Database, tmp_path: Path) -> None:
    before = await documents(world)
    report = await verify.run(world, tmp_path)
    assert (report.tracks, report.removed, report.audio, report.features) == (5, 1, 4, 4)
    assert (report.rejected, report.scalers, report.unscaled) == (1, 1, 0)
    assert (report.hashed, report.without_sha256) == (0, 0)
    assert report.wrong == {}
    assert report.sentence() is None
    deep = await verify.run(world, tmp_path, deep=True)
    assert (deep.hashed, deep.without_sha256, deep.wrong) == (3, 1, {})
    assert await documents(world) == before


async def test_files_that_went_or_changed_are_named(world: Database, tmp_path: Path) -> None:
    (tmp_path / "1.ogg").unlink()
    (tmp_path / "1.ogg").mkdir()
    (tmp_path / "2.ogg").write_bytes(b"longer" * 100)
    (tmp_path / "3.ogg").write_bytes(b"\0" * 100)
    (tmp_path / "4.ogg").rename(tmp_path / "5.ogg")
    report = await verify.run(world, tmp_path)
    assert report.wrong == {"missing file": 2, "size changed": 1}
    assert report.examples["size changed"] == [str(tmp_path / "2.ogg")]
    report = await verify.run(world, tmp_path, deep=True)
    assert report.wrong == {"missing file": 2, "size changed": 1, "content changed": 1}
    assert report.examples["content changed"] == [str(tmp_path / "3.ogg")]
    sentence = report.sentence()
    assert sentence is not None
    assert "2 x missing file, 1 x size changed, 1 x content changed" in sentence


async def test_an_absolute_path_is_taken_as_it_is(world: Database, tmp_path: Path) -> None:
    await world["tracks"].update_one({"_id": 1}, {"$set": {"audio.path": str(tmp_path / "1.ogg")}})
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    assert (await verify.run(world, elsewhere)).wrong == {"missing file": 3}


@pytest.mark.parametrize(
    ("collection", "track_id", "change", "kind"),
    [
        ("features", 2, {"raw": [1.0, float("nan"), 1.0, 1.0]}, "features not finite"),
        ("features", 2, {"scaled": [1.0, float("inf"), 1.0, 1.0]}, "features not finite"),
        ("features", 2, {"scaled": [1.0]}, "features do not fit their scaler"),
        ("features", 2, {"scaler_id": "another"}, "features of an unknown scaler"),
        ("scalers", SCALER.scaler_id, {"count": 4}, "damaged scaler"),
        ("scalers", SCALER.scaler_id, {"mean": [0.0, 0.0, 1e-9, 0.0]}, "damaged scaler"),
        ("catalogue", "catalogue", {"tracks": 4}, "unfinished load"),
    ],
)
async def test_documents_that_cannot_be_right_are_named(
    world: Database, tmp_path: Path, collection: str, track_id: object, change: dict, kind: str
) -> None:
    await world[collection].update_one({"_id": track_id}, {"$set": change})
    report = await verify.run(world, tmp_path)
    assert report.wrong == {kind: 1}
    assert len(report.examples[kind]) == 1


async def test_tracks_and_features_that_do_not_belong_together_are_named(
    world: Database, tmp_path: Path
) -> None:
    await world["features"].delete_one({"_id": 3})
    await world["features"].insert_one(feature(77))
    short = feature(5, 3)
    del short["scaled"], short["scaler_id"]
    await world["features"].insert_one(short)
    report = await verify.run(world, tmp_path)
    assert report.wrong == {
        "features without track": 1,
        "sound without features": 1,
        "features of another length": 1,
    }
    assert report.examples["sound without features"] == ["track 3"]
    assert report.examples["features of another length"] == ["v1: 3 instead of 4 numbers: tracks 5"]
    assert report.unscaled == 1


async def test_an_empty_database_is_right(database: Database, tmp_path: Path) -> None:
    report = await verify.run(database, tmp_path)
    assert (report.tracks, report.wrong) == (0, {})


async def test_own_music_is_verified_on_the_command_line(
    settings: Settings, database: Database, tmp_path: Path
) -> None:
    path = write_song(tmp_path / "music" / "a.flac", 1)
    write_song(tmp_path / "music" / "b.ogg", 2)
    await own.run(database, tmp_path / "music", processes=2)
    ran = etl(settings, "data", "verify", "--deep", "--json")
    assert (ran.returncode, ran.stderr) == (0, "")
    assert json.loads(ran.stdout)["hashed"] == 2
    status, content = path.stat(), bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    ran = etl(settings, "data", "verify", "--deep", "--json")
    assert ran.returncode == 1
    assert ran.stderr.startswith("error: the catalogue does not agree with its files or with itself: 1 x con")
    assert json.loads(ran.stdout)["examples"] == {"content changed": [str(path)]}
