"""FMA end to end on a real mongod: idempotent, counted, every clip used or refused with a reason."""

import csv
from pathlib import Path

import numpy as np
import pytest

from bench._feature_table import table_rows, write_table
from connections.documents import Database, open_documents
from etl import fma
from etl.features import NAMES, VERSION
from schemas.errors import InvalidInput
from schemas.settings import Settings


async def everything(database: Database) -> dict[str, list]:
    """Return all documents of the catalogue, for comparison."""
    names = ("tracks", "features", "scalers", "catalogue", "rejected_tracks")
    return {name: await database[name].find({}).sort("_id", 1).to_list(None) for name in names}


@pytest.fixture
def real_metadata(sample_data: Path, write_metadata) -> Path:
    """Return a `tracks.csv` with three header rows, made from the plain one beside the clips."""
    with (sample_data / "fma-audio" / "tracks.csv").open(newline="", encoding="utf-8") as file:
        plain = list(csv.DictReader(file))
    rows = [
        (
            each["track_id"],
            {
                ("track", "title"): each["title"],
                ("track", "duration"): each["full_track_duration_s"],
                ("track", "genre_top"): each["genre_top"],
                ("track", "genres"): each["genres"],
                ("track", "license"): each["license"],
                ("artist", "name"): each["id3_artist"],
                ("album", "title"): each["id3_album"],
            },
        )
        for each in plain
    ]
    assert len(rows) == 10
    return write_metadata(rows)


async def test_real_clips_become_tracks_and_features_and_twice_changes_nothing(
    settings: Settings, sample_data: Path, real_metadata: Path
) -> None:
    async with open_documents(settings) as database:
        report = await fma.run(database, real_metadata, sample_data / "fma-audio", processes=2)
        assert (report.rows, report.tracks, report.extracted) == (10, 10, 10)
        assert report.rejected_rows == report.rejected_files == {}
        first = await everything(database)
        again = await fma.run(database, real_metadata, sample_data / "fma-audio", processes=2)
        assert (again.changed, again.kept, again.extracted) == (0, 10, 0)
        assert await everything(database) == first
    food = first["tracks"][0]
    assert (food["_id"], food["title"], food["artist"]) == (2, "Food", "AWOL")
    assert abs(food["track_ms"] - 30_000) < 100
    assert len(food["peaks"]) == 200
    assert Path(food["audio"]["path"]).stat().st_size == food["audio"]["bytes"]
    [scaler], features = first["scalers"], first["features"]
    assert {each["scaler_id"] for each in features} == {scaler["_id"]}
    assert {each["version"] for each in features} == {VERSION}
    scaled = np.array([each["scaled"] for each in features])
    assert scaled.shape == (10, len(NAMES))
    np.testing.assert_allclose(scaled.mean(axis=0), 0, atol=1e-9)
    assert first["catalogue"][0]["tracks"] == 10


async def test_every_broken_clip_gets_a_reason_and_the_run_completes(
    settings: Settings, tmp_path: Path, sample_data: Path, write_metadata, write_tone, row
) -> None:
    broken = [path for path in sorted((sample_data / "broken-audio").iterdir()) if path.name != "SOURCE.txt"]
    for number, path in enumerate(broken, start=2):
        target = tmp_path / "clips" / "000" / f"{number:06d}.mp3"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
    write_tone(tmp_path / "clips" / "000" / "000001.mp3", length_s=30.0)
    write_tone(tmp_path / "clips" / "000777.mp3")
    (tmp_path / "clips" / "cover.mp3").write_bytes(b"no number")
    metadata = write_metadata([row(str(number)) for number in range(1, len(broken) + 2)])
    async with open_documents(settings) as database:
        report = await fma.run(database, metadata, tmp_path / "clips", processes=2)
        rejected = await database["rejected_tracks"].find({}).to_list(None)
        assert await database["features"].count_documents({}) == report.extracted == 1
        assert await database["tracks"].count_documents({"audio": {"$ne": None}}) == 1
        assert await database["tracks"].count_documents({}) == len(broken) + 1
    assert report.files == len(broken) + 3
    assert sum(report.rejected_files.values()) == len(rejected) == len(broken) + 2
    assert {each["_id"] for each in rejected} == {
        *(f"fma:{number}" for number in range(2, len(broken) + 2)),
        "fma:000777.mp3",
        "fma:cover.mp3",
    }
    assert all(len(each["reason"]) > 5 for each in rejected)


async def test_a_repaired_clip_is_taken_up_and_a_spoilt_one_loses_its_sound(
    settings: Settings, tmp_path: Path, write_metadata, write_tone, row
) -> None:
    metadata = write_metadata([row("1"), row("2")])
    good, bad = tmp_path / "clips" / "000001.mp3", tmp_path / "clips" / "000002.mp3"
    write_tone(good, length_s=30.0)
    bad.write_bytes(b"not yet")
    async with open_documents(settings) as database:
        await fma.run(database, metadata, tmp_path / "clips", processes=1)
        versions = [(await database["catalogue"].find_one({}))["version"]]
        write_tone(bad, length_s=30.0, hz=330)
        good.write_bytes(b"")
        report = await fma.run(database, metadata, tmp_path / "clips", processes=1)
        assert (report.extracted, report.rejected_files) == (1, {"empty file (0 bytes)": 1})
        tracks = {track["_id"]: track async for track in database["tracks"].find({})}
        assert tracks[1]["audio"] is None
        assert tracks[2]["audio"]["bytes"] == bad.stat().st_size
        assert [each["_id"] async for each in database["features"].find({})] == [2]
        assert [each["_id"] async for each in database["rejected_tracks"].find({})] == ["fma:1"]
        assert await database["scalers"].count_documents({}) == 1
        versions.append((await database["catalogue"].find_one({}))["version"])
    assert versions[0] != versions[1]


async def test_metadata_alone_loads_all_real_rows(
    settings: Settings, tmp_path: Path, sample_data: Path
) -> None:
    source = sample_data / "fma-metadata"
    (tmp_path / "tracks.csv.gz").symlink_to(source / "derived_tracks_three_row_header.csv.gz")
    (tmp_path / "genres.csv").symlink_to(source / "genres.csv")
    async with open_documents(settings) as database:
        report = await fma.run(database, tmp_path, None)
        assert (report.rows, report.tracks, report.changed, report.files) == (17_734, 17_734, 17_734, 0)
        assert await database["tracks"].count_documents({"audio": None}) == 17_734
        again = await fma.run(database, tmp_path, None)
        assert again.changed == 0
        assert again.catalogue_version == report.catalogue_version


async def test_new_metadata_keeps_the_sound_and_moves_the_version(
    settings: Settings, tmp_path: Path, write_metadata, write_tone, row
) -> None:
    write_tone(tmp_path / "clips" / "000" / "000001.mp3", length_s=30.0)
    old, new = write_metadata([row("1")]), write_metadata([row("1", title="Corrected")], name="new")
    async with open_documents(settings) as database:
        first = await fma.run(database, old, tmp_path / "clips", processes=1)
        second = await fma.run(database, new, None)
        track = await database["tracks"].find_one({"_id": 1})
    assert second.changed == 1
    assert track["title"] == "Corrected"
    assert abs(track["track_ms"] - 30_000) < 50
    assert track["audio"] is not None
    assert first.catalogue_version != second.catalogue_version


async def test_clips_only_leaves_tracks_without_a_clip_out(
    settings: Settings, tmp_path: Path, write_metadata, write_tone, row
) -> None:
    write_tone(tmp_path / "clips" / "000002.mp3", length_s=30.0)
    metadata = write_metadata([row("1"), row("2"), row("3")])
    async with open_documents(settings) as database:
        report = await fma.run(database, metadata, tmp_path / "clips", clips_only=True, processes=1)
        assert (report.rows, report.tracks, report.extracted) == (3, 1, 1)
        assert [track["_id"] async for track in database["tracks"].find({})] == [2]


async def test_another_catalogue_is_not_mixed_in(settings: Settings, write_metadata, row) -> None:
    async with open_documents(settings) as database:
        await database["tracks"].insert_one({"_id": 5, "source": "demo", "source_key": "x"})
        with pytest.raises(InvalidInput, match="'demo'"):
            await fma.run(database, write_metadata([row("1")]), None)
        assert await database["tracks"].count_documents({}) == 1


async def test_twice_changes_nothing_at_all(settings: Settings, write_metadata, row) -> None:
    awol = {("album", "id"): "1", ("artist", "bio"): "<p>Hip-Hop\nfrom</p>", ("track", "listens"): "5"}
    rows = [(number, cells | awol) for number, cells in (row(str(n)) for n in range(1, 30))]
    metadata = write_metadata([*rows, row("x"), row("3")])
    names = ("tracks", "track_details", "genres", "rejected_tracks", "catalogue")
    async with open_documents(settings) as database:
        runs = []
        for _ in range(2):
            report = await fma.run(database, metadata, None)
            runs.append({name: await database[name].find_raw_batches({}).to_list(None) for name in names})
        assert (report.changed, report.changed_details, report.changed_genres) == (0, 0, 0)
        assert runs[0] == runs[1]
        assert await database["track_details"].find_one({"_id": 1}) == {
            "_id": 1, "listens": 5, "genre_ids": [21], "album": {"id": 1}, "artist": {"bio": "Hip-Hop from"},
        }  # fmt: skip
        stored = await database["etl_reports"].find({}).to_list(None)
        assert [each["command"] for each in stored] == ["etl run"] * 2
        assert stored[1]["report"]["rejected_rows"] == {"no track id": 1, "duplicate id": 1}
    assert report.refusals() == "2 x row (no track id: 1, duplicate id: 1) refused; all else is loaded"


async def test_known_bad_clips_are_counted_apart(
    settings: Settings, tmp_path: Path, write_metadata, write_tone, row
) -> None:
    metadata = write_metadata([row("98565"), row("98567"), row("108925"), row("7")])
    write_tone(tmp_path / "clips" / "098" / "098565.mp3", length_s=1.6)
    write_tone(tmp_path / "clips" / "098" / "098567.mp3", length_s=30.0)  # repaired
    (tmp_path / "clips" / "108").mkdir()
    (tmp_path / "clips" / "108" / "108925.mp3").write_bytes(b"")
    async with open_documents(settings) as database:
        alone = await fma.run(database, metadata, None)
        assert alone.quality["known_bad_clips"].keys() == {"098565", "098567", "108925"}
        for _ in range(2):
            report = await fma.run(database, metadata, tmp_path / "clips", processes=1)
            assert report.rejected_files == {}
            assert report.known_bad_clips == {"too short": 1, "empty file (0 bytes)": 1}
            assert report.kept + report.extracted == 1
            assert report.refusals() is None
        reasons = {each["_id"]: each["reason"] async for each in database["rejected_tracks"].find({})}
    assert reasons["fma:108925"] == "empty file (0 bytes): known defect of FMA, the clip holds no sound"
    assert reasons["fma:98565"].endswith("; known defect of FMA, the clip holds about 1 s of sound")


async def test_rows_that_the_crawler_did_not_find_are_told(settings: Settings, write_metadata, row) -> None:
    metadata = write_metadata([row("1"), row("2")])
    (metadata / "not_found.json").write_text('{"tracks": [2, 3], "artists": [1]}')
    async with open_documents(settings) as database:
        report = await fma.run(database, metadata, None)
    assert report.quality["not_found_but_there"] == {"tracks": 1, "artists": 2}


async def test_a_run_that_ends_in_a_cut_file_is_completed_by_the_next(
    settings: Settings, write_metadata, row
) -> None:
    rows = [row(str(number), title=f"T{number}") for number in range(1, 4001)]
    metadata = write_metadata(rows, compressed=True)
    path = metadata / "tracks.csv.gz"
    whole = path.read_bytes()
    async with open_documents(settings) as database:
        path.write_bytes(whole[: len(whole) // 2])
        with pytest.raises(InvalidInput, match="cannot be read"):
            await fma.run(database, metadata, None)
        path.write_bytes(whole)
        report = await fma.run(database, metadata, None)
        assert (report.rows, report.catalogue_tracks) == (4000, 4000)
        assert await database["track_details"].count_documents({}) == 4000


async def test_features_come_from_the_table_and_clips_give_only_peaks_and_length(
    settings: Settings, tmp_path: Path, write_metadata, write_tone, row
) -> None:
    metadata = write_metadata([row("2"), row("3"), row("5")])
    write_tone(tmp_path / "clips" / "000" / "000002.mp3", length_s=30.0)
    (tmp_path / "clips" / "000" / "000003.mp3").write_bytes(b"")
    names = ("tracks", "track_details", "features", "scalers", "rejected_tracks", "catalogue")
    async with open_documents(settings) as database:
        with pytest.raises(InvalidInput, match=r"features\.csv"):
            await fma.run(database, metadata, None, precomputed=True)
        assert await database["tracks"].count_documents({}) == 0
        write_table(metadata / "features.csv", table_rows([2, 3, 99]))
        runs = []
        for _ in range(2):
            report = await fma.run(database, metadata, tmp_path / "clips", processes=1, precomputed=True)
            runs.append([await database[name].find({}).sort("_id", 1).to_list(None) for name in names])
        tracks, _, features, *_ = runs[0]
        assert runs[0] == runs[1]
    assert (report.changed, report.kept, report.rejected_files) == (0, 1, {"empty file (0 bytes)": 1})
    assert [each["_id"] for each in features] == [2, 3]
    assert {each["version"] for each in features} == {"precomputed-fma-mean-std-v1"}
    assert (len(tracks[0]["peaks"]), tracks[1]["audio"]) == (200, None)
    assert abs(tracks[0]["track_ms"] - 30_000) < 100
    assert report.precomputed is not None
    told = {
        name: report.precomputed[name]
        for name in ("rows", "loaded", "changed", "without_track", "without_row")
    }
    assert told == {"rows": 3, "loaded": 2, "changed": 0, "without_track": 1, "without_row": 1}
