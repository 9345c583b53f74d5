"""The real tables of FMA: 17,734 rows, and the first five of the official file."""

import csv
import gzip
import json
from pathlib import Path

import pytest

from etl.genres import read_genres
from etl.quality import Quality
from etl.rows import Described
from etl.tracks import read_tracks


@pytest.fixture(scope="module")
def real(sample_data: Path) -> tuple[list[Described], Quality]:
    """Return what the real rows say, and the counts."""
    folder = sample_data / "fma-metadata"
    quality = Quality()
    path = folder / "derived_tracks_three_row_header.csv.gz"
    found = list(read_tracks(path, read_genres(folder / "genres.csv"), quality))
    assert all(isinstance(each, Described) for each in found)
    return found, quality


def test_all_real_rows_are_read_and_no_cell_is_faulty(real: tuple[list[Described], Quality]) -> None:
    found, quality = real
    assert len(found) == 17_734
    assert all(each.track["title"] and each.track["genres"] and each.track["track_ms"] for each in found)
    report = quality.report()
    assert (report["rows"], report["faulty_cells"]) == (17_734, {})
    assert report["texts_cleaned"] == {"markup": 109, "line breaks": 45, "cut": 1}
    missing = report["missing_percent"]
    assert [missing[name] for name in ("track_date_recorded", "set_split", "album_id")] == [89.3, 47.6, 100.0]
    assert report["licences"] | {"without_version": None} == {
        "texts": 58, "texts_with_deed": 50, "rows": 17_714, "rows_with_deed": 15_585, "without_version": None,
        "unknown": [{"text": "ideology.de", "rows": 2}],
    }  # fmt: skip


def test_real_details_equal_the_plain_table(real: tuple[list[Described], Quality], sample_data: Path) -> None:
    with (sample_data / "fma-metadata" / "fma-rock-vs-hiphop.csv").open(encoding="utf-8", newline="") as file:
        plain = {int(row["track_id"]): row for row in csv.DictReader(file)}
    for track, details in real[0]:
        row = plain[track["_id"]]
        for name in ("listens", "favorites", "comments", "interest", "number"):
            assert details[name] == int(row[name])
        assert details.get("bit_rate", -1) == int(row["bit_rate"])
        assert details["created"] == row["date_created"].replace(" ", "T")
        assert details.get("recorded", "") == row["date_recorded"].removesuffix(" 00:00:00")
        # some rows name a genre twice
        assert details["genre_ids"] == list(dict.fromkeys(json.loads(row["genres"])))
        assert details.get("language_code", "") == row["language_code"]
        assert track["track_ms"] == int(row["duration"]) * 1000


def test_the_official_head_is_read_though_its_texts_are_cut(sample_data: Path) -> None:
    folder = sample_data / "fma-metadata"
    quality = Quality()
    found = list(
        read_tracks(folder / "official_tracks_head_5.csv", read_genres(folder / "genres.csv"), quality)
    )
    assert [each.track["title"] for each in found] == [
        "Food", "Electric Ave", "This World", "Freeway", "Spiritual Level",
    ]  # fmt: skip
    first, last = found[0], found[4]
    assert (first.track["artist"], first.track["artist_id"], first.track["album"]) == (
        "AWOL", 1, "AWOL - A Way Of Life",
    )  # fmt: skip
    assert first.details["album"] == {
        "id": 1, "type": "Album", "created": "2008-11-26T01:44:45", "released": "2009-01-05", "comments": 0,
        "favorites": 4, "listens": 6073, "tracks": 7,
    }  # fmt: skip
    artist = last.details["artist"]
    assert (artist["active_from"], artist["active_until"], artist["latitude"]) == (1990, 2011, 51.895927)
    assert last.details["album"]["information"] == '"spiritual songs" from Nicky Cook'
    assert last.track["genres"] == ["Experimental Pop", "Singer-Songwriter"]
    # pandas prints lists without quotes, and cuts texts with "..."
    assert quality.report()["faulty_cells"] == {"artist_tags": {"not a list as Python writes it": 5}}


def test_line_breaks_within_cells_are_real(sample_data: Path) -> None:
    path = sample_data / "fma-metadata" / "derived_tracks_three_row_header.csv.gz"
    with gzip.open(path, "rt", encoding="utf-8") as file:
        assert sum(1 for _ in file) > 17_734 + 3
