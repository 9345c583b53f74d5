"""FMA's features.csv: what its rows become, what is refused, and that memory and order do not matter."""

import csv
import gzip
import re
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as profile
from hypothesis import strategies as st

from bench._feature_table import COLUMNS, table_rows, write_table
from connections.documents import Database, ensure_indexes, open_documents
from connections.feature_store import scaled_features
from etl import load, normalise, precomputed_table
from etl.precomputed import VERSION, load_precomputed
from etl.precomputed_table import NAMES, find_features_file, read_layout, read_rows
from schemas.errors import DocumentsUnavailable, InvalidInput
from schemas.settings import Settings

IDS = [2, 3, 5, *range(10, 407)]


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a table of 400 rows in the official layout."""
    return write_table(tmp_path_factory.mktemp("metadata") / "features.csv", table_rows(IDS))


@pytest.fixture
async def database(settings: Settings) -> AsyncIterator[Database]:
    async with open_documents(settings) as opened:
        await ensure_indexes(opened)
        yield opened


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precomputed_table, "_BLOCK_BYTES", 400_000)  # some 45 rows


def plain(path: Path) -> dict[int, dict[tuple[str, str, str], float]]:
    """Read a table in the slowest and plainest way."""
    with path.open(newline="") as file:
        feature, statistic, number, _, *rows = csv.reader(file)
    columns = list(zip(feature[1:], statistic[1:], number[1:], strict=True))
    return {int(row[0]): dict(zip(columns, map(float, row[1:]), strict=True)) for row in rows}


def edited(table: Path, folder: Path, change: dict[int, str], name: str = "features.csv") -> Path:
    """Write the table anew with some of its lines (0 is the first row of data) changed."""
    lines = table.read_text().splitlines()
    for row, line in change.items():
        lines[4 + row] = line
    (folder / name).write_text("\n".join(lines) + "\n")
    return folder / name


def cells(table: Path, row: int, **values: str) -> str:
    """Return a line of data with some of the numbers changed."""
    line = table.read_text().splitlines()[4 + row].split(",")
    for name, value in values.items():
        descriptor, number, statistic = re.fullmatch(r"(.+)_(\d\d)_(\w+)", name).groups()
        line[1 + COLUMNS.index((descriptor, statistic, number))] = value
    return ",".join(line)


async def everything(database: Database) -> list[object]:
    features = await database["features"].find({}).sort("_id", 1).to_list(None)
    return [features, await database["scalers"].find({}, {"created_ms": 0}).to_list(None)]


def test_the_columns_are_mean_and_deviation_of_all_74_descriptors() -> None:
    assert len(COLUMNS) == 518
    assert len(set(NAMES)) == len(NAMES) == 148
    assert set(precomputed_table.COLUMNS) == {each for each in COLUMNS if each[1] in ("mean", "std")}


async def test_each_number_comes_from_its_column_and_a_second_run_changes_nothing(
    database: Database, table: Path
) -> None:
    report = await load_precomputed(database, table.parent, IDS)
    assert (report.rows, report.loaded, report.changed, report.without_track, report.without_row) == (
        400, 400, 400, 0, 0,
    )  # fmt: skip
    assert report.rejected == {}
    truth = plain(table)
    stored = await database["features"].find({}).sort("_id", 1).to_list(None)
    assert [each["_id"] for each in stored] == IDS
    for each in (stored[0], stored[200], stored[-1]):
        assert (each["version"], each["scaler_id"]) == (VERSION, report.scaler_id)
        row = truth[each["_id"]]
        assert each["raw"] == [row[column] for column in precomputed_table.COLUMNS]
        assert each["names"] == list(NAMES)
    scaled = np.array([each["scaled"] for each in stored])
    np.testing.assert_allclose(scaled.mean(axis=0), 0, atol=1e-9)
    np.testing.assert_allclose(scaled.std(axis=0), 1, atol=1e-9)
    np.testing.assert_array_equal((await scaled_features(database))[1], scaled)
    before = await everything(database)
    again = await load_precomputed(database, table, IDS)
    assert (again.changed, again.scaler_id) == (0, report.scaler_id)
    assert await everything(database) == before


async def test_rows_of_other_tracks_are_counted_and_tracks_without_a_row_too(
    database: Database, table: Path
) -> None:
    report = await load_precomputed(database, table, {2, 3, 1_000_000})
    assert (report.rows, report.loaded, report.without_track, report.without_row) == (400, 2, 398, 1)
    assert [each["_id"] async for each in database["features"].find({})] == [2, 3]


async def test_every_bad_row_is_counted_with_its_reason_and_the_others_are_loaded(
    database: Database, table: Path, tmp_path: Path
) -> None:
    path = edited(
        table,
        tmp_path,
        {
            0: cells(table, 0, mfcc_03_mean=""),
            1: cells(table, 1, zcr_01_std="inf"),
            2: cells(table, 2, rmse_01_mean="four"),
            3: cells(table, 3, rmse_01_mean="0.0000000000e+00"),
            4: cells(table, 4, rmse_01_mean="nan"),
            5: cells(table, 0),
            6: cells(table, 6)[: cells(table, 6).rindex(",")],
            7: "x" + cells(table, 7),
            8: cells(table, 8, mfcc_03_kurtosis=""),  # not taken
            9: cells(table, 9, mfcc_03_mean=" 1.5 "),
        },
    )
    report = await load_precomputed(database, path, IDS)
    assert report.rejected == {
        "2": "missing value: mfcc_03_mean",
        "3": "not finite: zcr_01_std",
        "5": "not a number: rmse_01_mean holds 'four'",
        "10": "silent: its loudness is 0 throughout",
        "11": "missing value: rmse_01_mean",
        "2-again": "repeated id: the first row counts",
        "13": "wrong number of columns: 518 instead of 519",
        "x14": "no track id: the first column is none of FMA's numbers",
    }
    assert report.reasons["missing value"] == 2
    assert (report.rows, report.loaded) == (400, 392)
    assert report.rows == report.loaded + len(report.rejected) + report.without_track
    found = await database["features"].find_one({"_id": IDS[9]})
    assert found["raw"][NAMES.index("mfcc_03_mean")] == 1.5
    _, scaled = await scaled_features(database)
    assert np.isfinite(scaled).all()


async def test_an_interrupted_load_is_completed_by_the_next(
    database: Database, table: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, blocks = load.write_features, 0

    async def fails_third(*given: object) -> int:
        nonlocal blocks
        blocks += 1
        if blocks == 3:
            raise DocumentsUnavailable("killed")
        return await whole(*given)  # type: ignore[arg-type]

    with monkeypatch.context() as patched:
        patched.setattr(load, "write_features", fails_third)
        with pytest.raises(DocumentsUnavailable):
            await load_precomputed(database, table, IDS)
    assert 0 < await database["features"].count_documents({}) < 400
    await load_precomputed(database, table, IDS)
    other = settings.model_copy(update={"mongodb_database": f"{settings.mongodb_database}-b"})
    async with open_documents(other) as undisturbed:
        await load_precomputed(undisturbed, table, IDS)
        assert await everything(database) == await everything(undisturbed)


async def test_a_table_takes_the_place_of_what_was_extracted(database: Database, table: Path) -> None:
    await database["features"].insert_one(
        {"_id": 2, "version": "audio", "names": ["a"], "raw": [1.0], "scaled": [0.0], "scaler_id": "x"}
    )
    await load_precomputed(database, table, IDS)
    assert await database["features"].distinct("version") == [VERSION]


async def test_later_tracks_use_the_stored_scaler_until_a_refit(database: Database, table: Path) -> None:
    first = await load_precomputed(database, table, IDS[:50])
    second = await load_precomputed(database, table, IDS)
    assert first.scaler_id == second.scaler_id
    refit = await normalise.refit(database)
    assert (refit.version, refit.revision, refit.rescaled) == (VERSION, 2, 400)
    third = await load_precomputed(database, table, IDS)
    assert (third.scaler_id, third.changed) == (refit.scaler_id, 0)


async def test_a_compressed_table_is_the_same_and_a_cut_one_is_named(
    database: Database, table: Path, tmp_path: Path
) -> None:
    packed = tmp_path / "features.csv.gz"
    with gzip.open(packed, "wb") as out, table.open("rb") as file:
        shutil.copyfileobj(file, out)
    assert (await load_precomputed(database, tmp_path, IDS)).loaded == 400
    packed.write_bytes(packed.read_bytes()[:200_000])
    with pytest.raises(InvalidInput, match=r"features\.csv\.gz cannot be read further"):
        await load_precomputed(database, tmp_path, IDS)
    packed.write_bytes(b"no gzip")
    with pytest.raises(InvalidInput, match="cannot be read"):
        await load_precomputed(database, tmp_path, IDS)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "it has 0 lines"),
        ("track_id,title\n2,Food\n", "line 1 begins with 'track_id', not with 'feature'"),
        ("feature,mfcc\nstatistics,mean\nnumber,01\n", "it has 3 lines"),
        (
            "feature,mfcc\nstatistics,mean\nnumber,01\ntrack_id,\n",
            "column ('chroma_cens', 'mean', '01') is missing",
        ),
        ("feature,a\nstatistics,b\nnumber,c\nhello,\n", "line 4 begins with 'hello', not with 'track_id'"),
    ],
)
def test_another_header_is_named(content: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "features.csv"
    path.write_text(content)
    with pytest.raises(InvalidInput, match=re.escape(message)):
        read_layout(path)


def test_a_folder_without_the_table_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"neither features\.csv nor features\.csv\.gz"):
        find_features_file(tmp_path)


def test_columns_are_found_by_their_header_wherever_they_stand(table: Path, tmp_path: Path) -> None:
    order = np.random.default_rng(3).permutation(518)
    path = tmp_path / "features.csv"
    with table.open(newline="") as file, path.open("w", newline="") as out:
        for row in csv.reader(file):
            csv.writer(out).writerow([row[0], *(row[1 + place] for place in order)])
    [*ours] = read_rows(read_layout(path), IDS)
    [*theirs] = read_rows(read_layout(table), IDS)
    np.testing.assert_array_equal(
        np.concatenate([rows.raw for rows in ours]), np.concatenate([rows.raw for rows in theirs])
    )


@profile(max_examples=40, deadline=None)
@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\n\r,"), max_size=12), max_size=6))
def test_no_cell_ends_the_reading_and_every_row_is_counted_once(
    tmp_path_factory: pytest.TempPathFactory, values: list[str]
) -> None:
    path = tmp_path_factory.mktemp("cells") / "features.csv"
    ids = range(1, len(values) + 1)
    write_table(path, table_rows(ids))
    changed = {row: cells(path, row, tonnetz_03_std=value) for row, value in enumerate(values)}
    layout = read_layout(edited(path, path.parent, changed))
    found = list(read_rows(layout, set(ids)))
    used = {track_id for rows in found for track_id in rows.track_ids.tolist()}
    refused = {int(key) for rows in found for key, _ in rows.refused}
    assert used | refused == set(ids)
    assert not used & refused
    assert all(np.isfinite(rows.raw).all() for rows in found)


async def test_bytes_that_are_no_text_cost_their_row_alone(
    database: Database, table: Path, tmp_path: Path
) -> None:
    path = edited(table, tmp_path, {1: cells(table, 1, mfcc_01_mean="@"), 2: "@" + cells(table, 2)})
    path.write_bytes(path.read_bytes().replace(b"@", b"\xff"))
    report = await load_precomputed(database, path, IDS)
    assert report.reasons == {"not a number": 1, "no track id": 1}
    assert report.loaded == 398


def test_the_version_is_one_that_readers_know_as_a_table() -> None:
    assert VERSION.startswith("precomputed-")
