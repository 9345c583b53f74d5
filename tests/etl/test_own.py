"""Own music end to end on a real mongod: ids stay whatever happens to the files."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from agents.ranking.program import RankingPrograms
from agents.ranking.ranker import Ranker
from agents.serving import Serving
from connections.documents import Database, open_documents
from etl import own
from etl.ids import foreign_id
from frontend.catalogue import Catalogue
from recommender.ranking_config import RankingConfig
from schemas.errors import InvalidInput
from schemas.settings import Settings
from tests.etl.own_music import documents, retag_mp3, titles, write_song
from tests.etl.test_cli import etl

COUNTS = ("added", "kept", "moved", "retagged", "encoded_anew", "came_back")


@pytest.fixture
async def database(settings: Settings) -> AsyncIterator[Database]:
    async with open_documents(settings) as opened:
        yield opened
        await opened.client.drop_database(settings.mongodb_database)


@pytest.fixture
def music(tmp_path: Path) -> Path:
    return tmp_path / "music"


def told(report: own.OwnReport) -> dict[str, int]:
    """Return the counts that are not zero; checks that every file is counted once."""
    assert report.files == sum(getattr(report, name) for name in COUNTS) + sum(report.rejected.values())
    return {name: count for name in (*COUNTS, "removed") if (count := getattr(report, name))}


async def add(database: Database, path: Path, **given) -> own.OwnReport:
    return await own.run(database, path, processes=2, **given)


def added(settings: Settings, path: Path) -> own.OwnReport:
    """Run `python -m etl data add`."""
    ran = etl(settings, "data", "add", str(path), "--json")
    assert ran.returncode == 0, ran.stderr
    return own.OwnReport(**json.loads(ran.stdout))


async def test_the_life_of_a_collection_on_the_command_line(
    settings: Settings, database: Database, music: Path
) -> None:
    tags = {"artist": "Band", "album": "First"}
    wav = write_song(music / "Band" / "First" / "01 One.wav", 1)
    flac = write_song(music / "two.flac", 2, title="Two", genre="Rock", date="1999", tracknumber="2", **tags)
    ogg = write_song(music / "three.ogg", 3, title="Three", **tags)
    mp3 = write_song(music / "four.mp3", 4, title="Vi\u00e8r", artist="Other")
    write_song(music / "five.aiff", 5, title="Five", artist="Band")
    assert told(added(settings, music)) == {"added": 5}
    first = await documents(database)
    ids = await titles(database)
    assert set(ids) == {"One", "Two", "Three", "Vi\u00e8r", "Five"}
    two = next(track for track in first["tracks"] if track["title"] == "Two")
    assert (two["artist"], two["album"], two["genres"], two["source"]) == ("Band", "First", ["Rock"], "own")
    assert two["_id"] == foreign_id("own", two["source_key"])
    assert two["source_key"] == two["audio"]["sha256"]
    assert two["audio"]["path"] == str(flac)
    assert (two["track_ms"], len(two["peaks"]), "removed_ms" in two) == (5_500, 200, False)
    details = {"_id": two["_id"], "number": 2, "album": {"released": "1999"}}
    assert first["track_details"] == [details]
    assert len({track["artist_id"] for track in first["tracks"]}) == 2

    assert told(added(settings, music)) == {"kept": 5}
    assert await documents(database) == first

    # moved, retagged, encoded anew in its place, encoded anew elsewhere
    (music / "elsewhere").mkdir()
    wav.rename(music / "elsewhere" / "01 One.wav")
    retag_mp3(mp3, title="Four", artist="Other", album="Retagged")
    write_song(flac, 2, 6.5, title="Two", **tags)
    ogg.unlink()
    write_song(music / "better" / "three.flac", 3, title="Three", **tags)
    report = added(settings, music)
    assert told(report) == {"kept": 1, "moved": 1, "retagged": 1, "encoded_anew": 2}
    ids["Four"] = ids.pop("Vi\u00e8r")
    assert await titles(database) == ids
    tracks = {track["_id"]: track async for track in database["tracks"].find({})}
    assert tracks[ids["One"]]["audio"]["path"] == str(music / "elsewhere" / "01 One.wav")
    assert tracks[ids["Two"]]["track_ms"] == 6_500
    assert tracks[ids["Three"]]["audio"]["mime"] == "audio/flac"
    assert tracks[ids["Three"]]["source_key"] != tracks[ids["Three"]]["audio"]["sha256"]

    # gone and back
    before = await documents(database)
    shutil.move(music / "elsewhere", music.parent / "aside")
    assert told(added(settings, music)) == {"kept": 4, "removed": 1}
    one = await database["tracks"].find_one({"_id": ids["One"]})
    assert one["audio"] is None
    assert one["removed_ms"] > 0
    assert told(added(settings, music)) == {"kept": 4}
    assert (await database["tracks"].find_one({"_id": ids["One"]})) == one
    shutil.move(music.parent / "aside", music / "elsewhere")
    assert told(added(settings, music)) == {"kept": 4, "came_back": 1}
    after = await documents(database)
    for name in set(before) - {"own_files", "catalogue"}:
        assert after[name] == before[name], name
    assert after["catalogue"][0]["version"] == before["catalogue"][0]["version"]
    reports = await database["etl_reports"].find({}).sort("_id", 1).to_list(None)
    assert [(each["command"], each["source"]) for each in reports] == [("data add", "own")] * 6
    assert reports[0]["report"]["added"] == 5


async def test_a_changed_and_moved_file_that_came_back_is_read_again(database: Database, music: Path) -> None:
    path = write_song(music / "a.mp3", 1, title="A", artist="X")
    write_song(music / "b.mp3", 2, title="B", artist="X")
    await add(database, music)
    ids = await titles(database)
    path.rename(music.parent / "aside.mp3")
    assert told(await add(database, music)) == {"kept": 1, "removed": 1}
    # retagged and renamed meanwhile: only its sound is left to know it by
    retag_mp3(music.parent / "aside.mp3", title="A (remastered)", artist="X & Y", album="Best of")
    (music.parent / "aside.mp3").rename(music / "z.mp3")
    assert told(await add(database, music)) == {"kept": 1, "came_back": 1}
    assert await titles(database) == {"A (remastered)": ids["A"], "B": ids["B"]}
    features = await database["features"].find_one({"_id": ids["A"]})
    assert features is not None
    assert told(await add(database, music)) == {"kept": 2}


async def test_unchanged_files_are_not_read(database: Database, music: Path) -> None:
    path = write_song(music / "a.wav", 1)
    await add(database, music)
    before, status = await documents(database), path.stat()
    path.write_bytes(b"\0" * status.st_size)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert told(await add(database, music)) == {"kept": 1}
    assert await documents(database) == before


async def test_a_file_that_was_only_touched_is_hashed_but_not_decoded(
    database: Database, music: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_song(music / "a.wav", 1)
    await add(database, music)
    [before] = (await documents(database))["tracks"]
    os.utime(path, ns=(1, 1))
    monkeypatch.setattr("etl.own_matching.extract_all", None)  # would raise if anything were decoded
    assert told(await add(database, music)) == {"kept": 1}
    [after] = (await documents(database))["tracks"]
    assert after == before | {"audio": before["audio"] | {"modified_ns": 1}}


async def test_equal_files_are_one_track_and_the_copy_stands_in_for_it(
    database: Database, music: Path
) -> None:
    first = write_song(music / "a.ogg", 1, title="A")
    shutil.copy(first, music / "b.ogg")
    report = await add(database, music)
    assert (told(report), report.rejected) == ({"added": 1}, {"duplicate": 1})
    [rejected] = (await documents(database))["rejected_tracks"]
    assert rejected["_id"] == f"own:{music / 'b.ogg'}"
    assert rejected["reason"] == f"duplicate: same bytes as {first}"
    ids, before = await titles(database), await documents(database)
    await add(database, music)
    assert await documents(database) == before
    first.unlink()
    assert told(await add(database, music)) == {"moved": 1}
    assert await titles(database) == ids
    assert (await documents(database))["rejected_tracks"] == []


async def test_every_broken_file_gets_a_reason_and_is_no_track(
    database: Database, music: Path, sample_data: Path
) -> None:
    broken = [path for path in (sample_data / "broken-audio").iterdir() if path.suffix != ".txt"]
    for path in broken:
        shutil.copy(path, music.joinpath(path.name)) if music.is_dir() else shutil.copytree(
            path.parent, music
        )
    write_song(music / "good.wav", 1)
    shutil.copy(music / "derived-random-bytes.mp3", music / "once-more.mp3")
    report = await add(database, music)
    assert (report.added, report.files, report.other_files) == (1, len(broken) + 2, 1)
    told(report)
    found = await documents(database)
    assert {each["_id"] for each in found["rejected_tracks"]} == {
        *(f"own:{music / path.name}" for path in broken),
        f"own:{music / 'once-more.mp3'}",
    }
    assert all(len(each["reason"]) > 5 for each in found["rejected_tracks"])
    assert len(found["tracks"]) == len(found["features"]) == 1
    # nothing is read or written again
    again = await add(database, music)
    assert (again.kept, again.rejected) == (1, report.rejected)
    assert await documents(database) == found


async def test_a_repaired_file_is_taken_up_and_a_spoilt_one_is_hidden_until_it_is_whole(
    database: Database, music: Path
) -> None:
    good, bad = write_song(music / "good.flac", 1, title="Good"), music / "bad.flac"
    bad.write_bytes(b"<html>not yet")
    whole = good.read_bytes()
    assert told(await add(database, music)) == {"added": 1}
    ids = await titles(database)
    write_song(bad, 2, title="Bad")
    good.write_bytes(b"spoilt")
    report = await add(database, music)
    # its bytes say nothing of what it was: at its path lies something that is no music
    assert (told(report), report.rejected) == ({"added": 1, "removed": 1}, {"undecodable": 1})
    assert await titles(database, removed_ms=None) == {"Bad": foreign_id("own", await _key(database, "Bad"))}
    good.write_bytes(whole)
    assert told(await add(database, music)) == {"kept": 1, "came_back": 1}
    assert (await titles(database, removed_ms=None))["Good"] == ids["Good"]
    assert (await documents(database))["rejected_tracks"] == []


async def _key(database: Database, title: str) -> str:
    return (await database["tracks"].find_one({"title": title}))["source_key"]


async def test_a_disk_that_is_not_mounted_takes_no_track_away(database: Database, music: Path) -> None:
    path = write_song(music / "album" / "a.wav", 1)
    write_song(music.parent / "other" / "b.wav", 2)
    await add(database, music)
    assert told(await add(database, music.parent / "other")) == {"added": 1}
    before = await documents(database)
    path.rename(music.parent / "kept.wav")
    with pytest.raises(InvalidInput, match=r"holds no audio file, but 1 known .* --all-gone"):
        await add(database, music)
    (music / "album").rmdir()
    music.rmdir()
    with pytest.raises(InvalidInput, match="cannot be read: No such file"):
        await add(database, music)
    assert await documents(database) == before
    assert told(await add(database, music, all_gone=True)) == {"removed": 1}
    tracks = (await documents(database))["tracks"]
    assert {track["title"]: track["audio"] is None for track in tracks} == {"a": True, "b": False}


async def test_folders_are_one_catalogue_and_music_may_go_from_one_to_the_other(
    database: Database, tmp_path: Path
) -> None:
    a, b = tmp_path / "a", tmp_path / "b"
    song = write_song(a / "song.wav", 1)
    write_song(a / "rest.wav", 2)
    (a / "broken.wav").write_bytes(b"RIFF")
    await add(database, a)
    ids = await titles(database)
    b.mkdir()
    shutil.copy(song, b / "song.wav")
    report = await add(database, b)
    assert (told(report), report.rejected) == ({}, {"duplicate": 1})
    assert len((await documents(database))["rejected_tracks"]) == 2  # that of the other folder stays
    song.unlink()
    assert told(await add(database, b)) == {"moved": 1}
    report = await add(database, a)
    assert (told(report), report.rejected) == ({"kept": 1}, {"undecodable": 1})
    assert await titles(database) == ids
    found = (await documents(database))["tracks"]
    assert {track["audio"]["path"] for track in found} == {str(b / "song.wav"), str(a / "rest.wav")}


async def test_what_cannot_be_looked_at_is_not_taken_for_gone(database: Database, music: Path) -> None:
    write_song(music / "open" / "a.wav", 1)
    write_song(music / "closed" / "b.wav", 2)
    await add(database, music)
    before = (await documents(database))["tracks"]
    folders = [music, *list(music.parents)[:3]]
    modes = [folder.stat().st_mode for folder in folders]
    user = os.geteuid()
    try:
        for folder in folders:
            folder.chmod(0o755)
        (music / "closed").chmod(0)
        if user == 0:  # root may read everything
            os.seteuid(65_534)
        report = await add(database, music)
    finally:
        os.seteuid(user)
        (music / "closed").chmod(0o755)
        for folder, mode in zip(folders, modes, strict=True):
            folder.chmod(mode & 0o777)
    assert (told(report), report.rejected) == ({"kept": 1}, {"unreadable folder": 1})
    assert report.examples == {"unreadable folder": [f"{music / 'closed'}: Permission denied"]}
    assert (await documents(database))["tracks"] == before
    assert told(await add(database, music)) == {"kept": 2}
    assert (await documents(database))["rejected_tracks"] == []


async def test_own_music_is_not_mixed_into_another_catalogue(database: Database, music: Path) -> None:
    await database["tracks"].insert_one({"_id": 5, "source": "demo", "source_key": "x"})
    write_song(music / "a.wav", 1)
    with pytest.raises(InvalidInput, match="'demo'"):
        await add(database, music)
    assert await database["tracks"].count_documents({}) == 1


@pytest.fixture
async def ranker() -> AsyncIterator[Ranker]:
    """Run a ranking process."""
    with RankingPrograms(1) as programs:
        async with Ranker(programs, RankingConfig(), "g") as one:
            yield one


async def test_a_running_stack_takes_up_what_is_added_and_drops_what_is_removed(
    settings: Settings, database: Database, music: Path, ranker: Ranker
) -> None:
    async def nothing(model_id: str) -> None:
        raise AssertionError(model_id)

    web, worker = Catalogue(database), Serving(database, ranker, nothing)

    async def refreshed() -> tuple[list[str], list[int]]:
        await web.refresh()
        await worker.refresh()
        return [track.title for track in web.page(0, 10)], worker.catalogue.track_ids.tolist()

    assert await refreshed() == ([], [])
    path = write_song(music / "Adagio.wav", 1)
    write_song(music / "Bolero.aiff", 2)
    await add(database, music)
    ids = await titles(database)
    await database["charts"].insert_one(
        {"_id": "c", "created_ms": 1, "items": [{"track_id": each, "count": 1} for each in ids.values()]}
    )
    names, track_ids = await refreshed()
    assert (sorted(names), track_ids) == (["Adagio", "Bolero"], sorted(ids.values()))
    assert web.sound(ids["Adagio"]) == (path, "audio/wav")
    assert web.get(ids["Adagio"]).playable
    assert not web.get(ids["Bolero"]).playable  # analysed, but no browser plays AIFF everywhere
    path.rename(music.parent / "aside.wav")
    await add(database, music)
    assert await refreshed() == (["Bolero"], [ids["Bolero"]])
    assert web.sound(ids["Adagio"]) is None
    assert not web.get(ids["Adagio"]).playable
    assert web.get(ids["Adagio"]).title == "Adagio"  # a history names it
    assert web.charts == [(ids["Bolero"], 1)]
    assert await web.search("adagio", 5) == []
    (music.parent / "aside.wav").rename(path)
    await add(database, music)
    assert sorted((await refreshed())[1]) == sorted(ids.values())
    assert web.get(ids["Adagio"]).playable


async def test_killed_at_any_moment_and_run_again_it_is_as_if_undisturbed(
    settings: Settings, database: Database, music: Path
) -> None:
    for number in range(6):
        write_song(music / f"{number}.flac", number, title=f"Song {number}", artist="X")
    (music / "broken.ogg").write_bytes(b"OggS")
    shutil.copy(music / "0.flac", music / "copy.flac")
    environment = os.environ | {
        "SEGUE_DATA_DIR": str(settings.data_dir),
        "SEGUE_MONGODB_PORT": str(settings.mongodb_port),
        "SEGUE_MONGODB_DATABASE": settings.mongodb_database,
    }
    command = [sys.executable, "-m", "etl", "data", "add", str(music)]
    for _ in range(2):
        killed_after(random.uniform(1.0, 3.5), command, environment)
    await add(database, music)
    disturbed = await documents(database)
    assert told(await add(database, music)) == {"kept": 6}
    assert await documents(database) == disturbed
    await database.client.drop_database(settings.mongodb_database)
    await add(database, music)
    undisturbed = await documents(database)
    for name, found in undisturbed.items():
        for one, other in zip(found, disturbed[name], strict=True):
            assert without_times(one) == without_times(other)


def killed_after(seconds: float, command: list[str], environment: dict[str, str]) -> None:
    with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL) as process:
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)


def without_times(document: dict) -> dict:
    return {name: value for name, value in document.items() if name not in ("updated_ms", "created_ms")}


def test_wrong_usage_and_refusals_on_the_command_line(settings: Settings, tmp_path: Path) -> None:
    ran = etl(settings, "data", "add", str(tmp_path / "missing"))
    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr == f"error: {tmp_path / 'missing'} cannot be read: No such file or directory\n"
    assert etl(settings, "data", "add").returncode == 2
