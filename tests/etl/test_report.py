"""The report's page: what it says is what the database holds, whatever that is."""

import asyncio
import json
import os
import random
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from connections.documents import Database, open_documents
from etl import report
from etl.progress import meter
from etl.report_page import render
from etl.report_sample import read_sample
from schemas.errors import InvalidInput
from schemas.settings import Settings
from tests.etl.catalogues import NAMES, VERSION, Page, track, vectors, write_features, write_tracks

BAD = "<script>alert(1)</script>"


async def page_of(settings: Settings, path: Path) -> Page:
    """Write the report and read it."""
    async with open_documents(settings) as database:
        await report.run(database, path)
    return Page(path.read_text(encoding="utf-8"))


async def fill(database: Database) -> None:
    """Write 40 tracks in three genres, 30 of them with features, 12 rejections, a run's report."""
    tracks = [
        track(
            n,
            genres=["Rock", "Punk"] if n <= 20 else ["Jazz"] if n <= 35 else [],
            audio=None if n > 30 else track(n)["audio"],
            track_ms=None if n == 40 else 1000 * n,
            **({"licence": None, "licence_url": None} if n > 38 else {}),
        )
        for n in range(1, 41)
    ]
    await write_tracks(database, tracks)
    await write_features(database, dict(zip(range(1, 31), vectors(30), strict=True)))
    await database["rejected_tracks"].insert_many(
        {
            "_id": f"test:{n:02d}.mp3",
            "reason": ("silent: RMS 0" if n < 9 else "too short: 1 s"),
            "updated_ms": n,
        }
        for n in range(12)
    )
    await database["genres"].insert_many(
        [
            {"_id": 1, "title": "Rock", "parent": None, "top_level": 1, "path": ["Rock"], "tracks": 9},
            {"_id": 2, "title": "Punk", "parent": 1, "top_level": 1, "path": ["Rock", "Punk"], "tracks": 9},
        ]
    )
    told = {"rows": 52, "cells": {"title": {"empty": 2, "html": 3}, "artist": {"empty": 4, "html": 5}}}
    await database["etl_reports"].insert_many(
        {
            "_id": str(n),
            "command": f"etl run {n}",
            "source": "test",
            "created_ms": n,
            "seconds": 1.5,
            "report": told,
        }
        for n in (1, 2)
    )


async def test_the_counts_on_the_page_are_those_of_the_database(settings: Settings, tmp_path: Path) -> None:
    async with open_documents(settings) as database:
        await fill(database)
    page = await page_of(settings, tmp_path / "page.html")
    assert page.sections["genre-counts"].rows[1:] == [
        ["Punk", "Rock", "20", "50.0 %"],
        ["Rock", "", "20", "50.0 %"],
        ["Jazz", "", "15", "37.5 %"],
    ]
    lengths = page.sections["track-lengths"].numbers()
    assert (lengths["shortest"], lengths["half are at most"], lengths["longest"]) == ("0:01", "0:20", "0:39")
    assert lengths["together"] == f"{sum(range(1, 40)) / 3600:.1f} hours"
    rejected = page.sections["rejected"].rows
    assert [row[:2] for row in rejected[1:]] == [["silent", "9"], ["too short", "3"]]
    assert rejected[1][2].startswith("test:00.mp3silent: RMS 0test:01.mp3")
    assert page.sections["licences"].rows[1:] == [["CC0", "38", "95.0 %"], ["not told", "2", "5.0 %"]]
    gaps = page.sections["gaps"].numbers()
    assert gaps["tracks without audio"] == gaps["tracks without features"] == "10"
    assert gaps["tracks without a genre"] == "5"
    assert gaps["tracks of unknown length"] == "1"
    assert gaps["tracks without a licence"] == "2"
    assert gaps["features that are not standardised"] == gaps["features without a track"] == "0"
    assert page.sections["scalers"].rows[1][:5] == [VERSION, "3", "30 tracks", "2023-11-14 22:13 UTC", "30"]
    assert "Last changed 2023-11-14 22:13 UTC" in page.sections[""].words
    assert "Drawn from all 30 tracks" in page.sections["sound"].words


async def test_the_newest_run_is_shown_with_all_that_it_told(settings: Settings, tmp_path: Path) -> None:
    async with open_documents(settings) as database:
        await fill(database)
    quality = (await page_of(settings, tmp_path / "page.html")).sections["quality"]
    assert "etl run 2" in quality.words
    assert quality.rows == [["rows", "52"], ["", "empty", "html"], ["title", "2", "3"], ["artist", "4", "5"]]


async def test_quantiles_and_map_are_of_the_scaled_vectors(settings: Settings, tmp_path: Path) -> None:
    raw = vectors(30)
    async with open_documents(settings) as database:
        await fill(database)
    page = await page_of(settings, tmp_path / "page.html")
    scaled = (raw - raw.mean(axis=0)) / raw.std(axis=0)
    rows = {row[0]: row[1:] for row in page.sections["distributions"].rows}
    assert set(NAMES) <= set(rows)
    for column, name in enumerate(NAMES):
        expected = np.quantile(scaled[:, column], [0.05, 0.25, 0.5, 0.75, 0.95])
        assert [float(each) for each in rows[name]] == pytest.approx(expected, abs=0.0051)
    singular = np.linalg.svd(scaled, compute_uv=False) ** 2
    first, second = (100 * singular / singular.sum())[:2]
    assert f"first component ({first:.1f} % of the variance)" in page.sections["sound"].words
    assert f"second component ({second:.1f} % of the variance)" in page.sections["sound"].words
    # Punk belongs to Rock: both have one colour; ids 1 to 20 are Rock, 21 to 30 Jazz
    genres = {row[0]: row[1:3] for row in page.sections["sound"].rows}
    assert genres["Rock"] == ["circle", "20"]
    assert genres["Jazz"] == ["square", "10"]


async def test_hostile_words_stay_words(settings: Settings, tmp_path: Path) -> None:
    genres = [
        BAD,
        "$\\frac{1}{$",
        "音楽",
        "a\0b\x1b[31m",
        "Ω" * 200,
        "",
        "{{ 7 * 7 }}",
        "#0a0b00",
        "Rock",
        "x&y",
    ]
    links = ["javascript:alert(1)", None, 'https://example.org/"><script>alert(2)</script>']
    tracks = [
        track(
            2**53 - n, title=BAD, artist=BAD, genres=[genres[n % 10]], licence=BAD, licence_url=links[n % 3]
        )
        for n in range(1, 31)
    ]
    async with open_documents(settings) as database:
        await write_tracks(database, tracks, source=BAD, version=BAD)
        raw = vectors(30)
        await write_features(database, {2**53 - n: raw[n - 1] for n in range(1, 31)}, version=BAD)
        await database["features"].update_many({}, {"$set": {"names": [BAD, *NAMES[1:-1], ""]}})
        await database["rejected_tracks"].insert_one({"_id": f"test:{BAD}", "reason": f"{BAD}: {BAD}"})
        told = {"report": {BAD: BAD, "a": [{BAD: BAD}]}, "created_ms": 1, "seconds": 1.0}
        await database["etl_reports"].insert_one({"_id": "1", "command": BAD, "source": BAD, **told})
    page = await page_of(settings, tmp_path / "page.html")
    assert not {"script", "iframe", "object", "img", "link"} & set(page.tags)
    assert not [name for name, _ in page.attributes if name.startswith("on")]
    assert page.links() == {'https://example.org/"><script>alert(2)</script>'}
    assert len(page.ids) == len(set(page.ids))
    shown = page.sections["genre-counts"].numbers()
    assert {BAD, "$\\frac{1}{$", "音楽", "{{ 7 * 7 }}", "#0a0b00", "x&y", "(no text)"} <= set(shown)
    assert not set(map(chr, range(32))) & set((tmp_path / "page.html").read_text()) - {"\n"}


async def test_the_same_documents_give_the_same_bytes(settings: Settings, tmp_path: Path) -> None:
    other = settings.model_copy(update={"mongodb_database": f"{settings.mongodb_database}-other"})
    async with open_documents(settings) as database, open_documents(other) as copy:
        await fill(database)
        for name in await database.list_collection_names():
            documents = await database[name].find({}).to_list(None)
            random.Random(1).shuffle(documents)
            if documents:
                await copy[name].insert_many(documents)
        for number, one in enumerate((database, database, copy)):
            await report.run(one, tmp_path / f"{number}.html")
    first, second, third = ((tmp_path / f"{number}.html").read_bytes() for number in range(3))
    assert first == second == third


async def test_an_empty_database_is_named_and_what_to_do(settings: Settings, tmp_path: Path) -> None:
    async with open_documents(settings) as database:
        with pytest.raises(
            InvalidInput, match=r"has no tracks to report on: load some with `segue etl demo`"
        ):
            await report.run(database, tmp_path / "page.html")
    assert list(tmp_path.iterdir()) == []


async def test_a_catalogue_without_audio_and_features_has_a_page(settings: Settings, tmp_path: Path) -> None:
    async with open_documents(settings) as database:
        await write_tracks(
            database, [track(n, audio=None, track_ms=None, genres=[], licence=None) for n in (1, 2)]
        )
    page = await page_of(settings, tmp_path / "page.html")
    assert "No map: no track has features." in page.sections["sound"].words
    assert "No track has features." in page.sections["distributions"].words
    assert "No track names a genre." in page.sections["genre-counts"].words
    assert "No track has a known length." in page.sections["track-lengths"].words
    assert "Nothing was rejected." in page.sections["rejected"].words
    assert page.sections["gaps"].numbers()["tracks without audio"] == "2"
    assert "svg" not in page.tags


async def test_features_without_a_scaler_are_a_gap_and_no_figure(settings: Settings, tmp_path: Path) -> None:
    async with open_documents(settings) as database:
        await write_tracks(database, [track(n) for n in range(1, 6)])
        await write_features(database, dict(zip(range(1, 6), vectors(5), strict=True)), scaled=False)
        await database["catalogue"].delete_many({})  # the load was not complete
    page = await page_of(settings, tmp_path / "page.html")
    assert "the features are not standardised" in page.sections["sound"].words
    assert page.sections["gaps"].numbers()["features that are not standardised"] == "5"
    assert "Not published" in page.sections[""].words


async def test_more_tracks_than_the_sample_are_drawn_by_hash_and_the_page_says_so(settings: Settings) -> None:
    raw = vectors(80)
    async with open_documents(settings) as database:
        await write_tracks(database, [track(n) for n in range(1, 81)])
        await write_features(database, {n: raw[n - 1] for n in range(1, 81)})
        await database["features"].update_one({"_id": 7}, {"$set": {"raw": [1.0]}})
        with meter("report", None) as progress:
            content = await report.read_content(database, progress)
            few = await read_sample(database, {}, most=50)
            again = await read_sample(database, {}, most=50)
            every = await read_sample(database, {}, most=100)
            assert few is not None
            assert again is not None
            assert every is not None
            page = Page(render(replace(content, sample=few), progress))
    assert np.array_equal(few.vectors, again.vectors)
    rows = {tuple(row) for row in every.vectors}
    assert {tuple(row) for row in few.vectors} < rows
    assert (len(every.vectors), every.unusable) == (79, 1)
    assert f"Drawn from {len(few.vectors)} of the 80 tracks with features" in page.sections["sound"].words


@pytest.mark.parametrize("where", ["file/page.html", "folder"])
async def test_a_page_that_cannot_be_written_leaves_nothing(
    settings: Settings, tmp_path: Path, where: str
) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    async with open_documents(settings) as database:
        await write_tracks(database, [track(1)])
        with pytest.raises(InvalidInput, match=f"the report cannot be written to {tmp_path / where}"):
            await report.run(database, tmp_path / where)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["file", "folder"]


def test_the_command_prints_the_path_and_nothing_about_fonts(settings: Settings) -> None:
    async def one_track() -> None:
        async with open_documents(settings) as database:
            await write_tracks(database, [track(1)])

    asyncio.run(one_track())
    environment = {name: value for name, value in os.environ.items() if name != "MPLCONFIGDIR"} | {
        "SEGUE_DATA_DIR": str(settings.data_dir),
        "SEGUE_MONGODB_PORT": str(settings.mongodb_port),
        "SEGUE_MONGODB_DATABASE": settings.mongodb_database,
    }
    ran = subprocess.run(
        [sys.executable, "-m", "etl", "report", "--json"],
        env=environment, capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    assert [line for line in ran.stderr.splitlines() if not line.startswith("report: ")] == []  # progress
    told = json.loads(ran.stdout)
    path = settings.data_dir.resolve() / "reports" / "catalogue.html"
    assert told["path"] == str(path)
    assert (told["tracks"], told["features"], told["bytes"]) == (1, 0, path.stat().st_size)
    assert (settings.data_dir / "cache" / "matplotlib").is_dir()
