"""FMA's tracks.csv: what becomes a track, and why a row does not."""

from collections.abc import Callable
from pathlib import Path

import pytest

from etl.genres import GenreTree, find_genres_file, read_genres
from etl.quality import Quality
from etl.tracks import Rejected, find_tracks_file, read_tracks
from schemas.errors import InvalidInput


def rows(folder: Path, quality: Quality | None = None) -> list:
    path = find_tracks_file(folder)
    return list(read_tracks(path, read_genres(path.parent / "genres.csv"), quality))


def read(folder: Path) -> list:
    return [each if isinstance(each, Rejected) else each.track for each in rows(folder)]


def test_a_row_becomes_a_track(write_metadata, row) -> None:
    number, cells = row("2", genre_top="Hip-Hop", license="Attribution 3.0 International")
    cells[("album", "title")] = "AWOL - A Way Of Life"
    [track] = read(write_metadata([(number, cells)]))
    assert track == {
        "_id": 2,
        "title": "Food",
        "artist": "AWOL",
        "artist_id": 1,
        "album": "AWOL - A Way Of Life",
        "genres": ["Hip-Hop"],
        "track_ms": 168_000,
        "licence": "Attribution 3.0 International",
        "licence_url": "https://creativecommons.org/licenses/by/3.0/",
        "source": "fma",
        "source_key": "2",
        "source_url": None,
        "audio": None,
    }


@pytest.mark.parametrize("compressed", [False, True])
def test_line_breaks_html_and_other_scripts_survive(write_metadata, row, compressed: bool) -> None:
    number, cells = row("7", title="<b>Λίγο</b> &amp;\r\nπιο", genres="[21, 45, 999]", genre_top="Rock")
    cells[("artist", "bio")] = '<p>Two\nlines, "quoted"</p>' + "x" * 200_000
    [track] = read(write_metadata([(number, cells)], compressed=compressed))
    assert track["title"] == "Λίγο & πιο"
    assert track["genres"] == ["Rock", "Hip-Hop", "Loud-Rock"]


def test_every_refused_row_has_its_reason_and_the_others_are_read(write_metadata, row) -> None:
    rows = [
        row("2"), row("0"), row("two"), row("2"), row("3", title=" "), row("4", duration="long"),
        row("5", genres="Rock"), row("6", duration=""), row("8", duration="-3"), row("99999999999"),
    ]  # fmt: skip
    folder = write_metadata(rows)
    with (folder / "tracks.csv").open("a") as file:
        file.write("11,too,few\n")
    found = read(folder)
    assert [track["_id"] for track in found if not isinstance(track, Rejected)] == [2, 6]
    reasons = {each.key: each.reason for each in found if isinstance(each, Rejected)}
    assert reasons.keys() == {"row-2", "row-3", "2", "3", "4", "5", "8", "row-10", "11"}
    assert reasons["2"].startswith("duplicate id")
    assert reasons["3"] == "no title"
    assert "'long' is not a number" in reasons["4"]
    assert "'Rock' is not a list" in reasons["5"]
    assert "3 instead of 53" in reasons["11"]


def test_a_row_that_is_not_utf8_is_refused(write_metadata, row) -> None:
    folder = write_metadata([row("2", title="Caf#"), row("3")])
    path = folder / "tracks.csv"
    path.write_bytes(path.read_bytes().replace(b"Caf#", b"Caf\xe9"))
    refused, track = read(folder)
    assert refused == Rejected("2", "not UTF-8: track.title")
    assert track["_id"] == 3


def test_unknown_artists_are_not_one_artist(write_metadata, row) -> None:
    rows = [row("2"), row("3"), row("4"), row("5")]
    for _, cells in rows[:2]:
        cells[("artist", "name")] = cells[("artist", "id")] = ""
    for _, cells in rows[2:]:
        cells[("artist", "id")] = ""
    first, second, third, fourth = read(write_metadata(rows))
    assert first["artist"] == "Unknown artist"
    assert first["artist_id"] != second["artist_id"]
    assert third["artist_id"] == fourth["artist_id"] >= 2**32


@pytest.mark.parametrize(
    "column", [("track", "title"), ("track", "genres"), ("artist", "id"), ("album", "title")]
)
def test_a_missing_column_is_named_with_its_file(write_metadata, row, column: tuple[str, str]) -> None:
    folder = write_metadata([row("2")], without=column)
    with pytest.raises(InvalidInput) as refusal:
        read(folder)
    assert str(refusal.value) == f"column ({column[0]}, {column[1]}) is missing in {folder / 'tracks.csv'}"


@pytest.mark.parametrize("content", ["", "a,b\n1,2\n", "track_id,title\n2,Food\n3,Electric Ave\n"])
def test_a_file_without_the_three_header_rows_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "tracks.csv").write_text(content)
    with pytest.raises(InvalidInput, match="three header rows"):
        list(read_tracks(tmp_path / "tracks.csv", GenreTree({})))


def test_a_cut_gzip_and_missing_files_are_one_sentence(
    tmp_path: Path, write_metadata: Callable[..., Path], row
) -> None:
    folder = write_metadata([row(str(n)) for n in range(1, 500)], compressed=True)
    path = folder / "tracks.csv.gz"
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(InvalidInput, match="cannot be read"):
        read(folder)
    with pytest.raises(InvalidInput, match="neither"):
        find_tracks_file(tmp_path)
    with pytest.raises(InvalidInput, match="does not exist"):
        find_tracks_file(tmp_path / "none")
    with pytest.raises(InvalidInput, match=r"genres\.csv is missing"):
        find_genres_file(tmp_path)
