"""The raw tables fill what tracks.csv lacks, and never more."""

from pathlib import Path

import pytest

from etl.genres import read_genres
from etl.quality import Quality
from etl.raw_tables import read_raw_table
from etl.tracks import read_tracks
from schemas.errors import InvalidInput
from tests.etl.raw_files import ALBUMS, ARTISTS, FOOD, SITE, TRACKS, write_raw_table

EMPTY: dict[tuple[str, str], str] = {("track", "genre_top"): ""}


def read(folder: Path, quality: Quality | None = None) -> list:
    return list(read_tracks(folder / "tracks.csv", read_genres(folder / "genres.csv"), quality))


def test_an_empty_row_is_filled_from_the_raw_tables(write_metadata) -> None:
    folder = write_metadata([("2", EMPTY)])
    write_raw_table(folder, "raw_tracks.csv", TRACKS, [FOOD])
    album = {"album_id": "1", "album_date_released": "1/05/2009", "album_type": "Album", "album_tracks": "7"}
    write_raw_table(folder, "raw_albums.csv", ALBUMS, [album])
    artist = {"artist_id": "1", "artist_active_year_begin": "2006.0", "artist_active_year_end": "0.0"}
    artist |= {"artist_bio": "<p>A Way Of\nLife</p>", "artist_latitude": "40.058324", "tags": "['awol']"}
    write_raw_table(folder, "raw_artists.csv", ARTISTS, [artist])
    quality = Quality()
    [found] = read(folder, quality)
    assert found.track == {
        "_id": 2,
        "title": "Food",
        "artist": "AWOL",
        "artist_id": 1,
        "album": "AWOL - A Way Of Life",
        "genres": ["Hip-Hop"],
        "track_ms": 168_000,
        "licence": "Attribution-NonCommercial-ShareAlike 3.0 International",
        "licence_url": "https://creativecommons.org/licenses/by-nc-sa/3.0/",
        "source": "fma",
        "source_key": "2",
        "source_url": f"{SITE}/AWOL_-_A_Way_Of_Life/Food",
        "audio": None,
    }
    assert found.details == {
        "_id": 2, "bit_rate": 256_000, "created": "2008-11-26T01:48:12", "recorded": "2008-11-26",
        "interest": 4656, "language_code": "en", "listens": 1293, "number": 3, "disc": 1,
        "explicit": "Radio-Unsafe", "instrumental": False, "genre_ids": [21], "licence_code": "by-nc-sa",
        "image_url": "https://freemusicarchive.org/file/images/albums/AWOL.jpg",
        "album": {"id": 1, "type": "Album", "released": "2009-01-05", "tracks": 7, "url": FOOD["album_url"]},
        "artist": {
            "active_from": 2006, "bio": "A Way Of Life", "latitude": 40.058324, "tags": ["awol"],
            "url": f"{SITE}/", "website": "http://www.AzillionRecords.blogspot.com",
        },
    }  # fmt: skip
    assert quality.report()["faulty_cells"] == {}
    assert quality.filled["track_title"] == quality.filled["artist_bio"] == quality.filled["track_url"] == 1


def test_tracks_csv_wins(write_metadata, row) -> None:
    number, cells = row("2", title="Own title", license="Attribution 4.0 International", duration="10")
    cells |= {("artist", "name"): "Own", ("artist", "id"): "7", ("track", "genres"): "[12]"}
    folder = write_metadata([(number, cells)])
    write_raw_table(folder, "raw_tracks.csv", TRACKS, [FOOD])
    [found] = read(folder)
    track = found.track
    assert (track["title"], track["artist"], track["artist_id"], track["genres"], track["track_ms"]) == (
        "Own title", "Own", 7, ["Rock"], 10_000,
    )  # fmt: skip
    assert track["licence_url"] == "https://creativecommons.org/licenses/by/4.0/"
    assert track["album"] == "AWOL - A Way Of Life"


def test_a_licence_without_version_gets_its_deed_from_the_raw_table(write_metadata, row) -> None:
    folder = write_metadata([row("2", license="Attribution"), row("3", license="ideology.de"), row("4")])
    addresses = ("http://creativecommons.org/licenses/by/4.0/", "http://ideology.de/x", "javascript:alert(1)")
    rows = [
        {"track_id": str(number), "license_url": address, "track_url": "ftp://example.org/"}
        for number, address in enumerate(addresses, start=2)
    ]
    write_raw_table(folder, "raw_tracks.csv", TRACKS, rows)
    quality = Quality()
    found = [each.track for each in read(folder, quality)]
    assert [each["licence_url"] for each in found] == [
        "https://creativecommons.org/licenses/by/4.0/", "http://ideology.de/x", None,
    ]  # fmt: skip
    assert {each["source_url"] for each in found} == {None}
    assert quality.report()["faulty_cells"] == {
        "track_license_url": {"not an http or https address": 1},
        "track_url": {"not an http or https address": 3},
    }


def test_a_raw_table_of_any_shape_is_read_or_named(tmp_path: Path) -> None:
    path = tmp_path / "raw_tracks.csv"
    path.write_bytes(
        b"track_url,track_id,other\nhttp://a/\x1f\xff,5,x\nhttp://b/,5,y\nhttp://c/,none,z\nshort,6\n"
    )
    table = read_raw_table(path, "track_id", ["track_title", "track_url", "other"])
    assert len(table) == 1
    assert table.get(5) == ["", "http://a/ \ufffd", "x"]
    assert table.get(6) is None
    with pytest.raises(InvalidInput, match=r"column 'album_id' is missing in .*raw_tracks\.csv"):
        read_raw_table(path, "album_id", [])


def test_rows_without_a_partner_stay_as_they_are(write_metadata, row) -> None:
    folder = write_metadata([row("3"), row("2", title="")])
    write_raw_table(folder, "raw_tracks.csv", TRACKS, [FOOD])
    write_raw_table(folder, "raw_albums.csv", ALBUMS, [])
    third, second = read(folder)
    assert (third.track["title"], third.track["source_url"]) == ("Food", None)
    assert second.track["title"] == "Food"
