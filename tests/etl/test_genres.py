"""FMA's tree of genres: the real one, and what becomes of broken ones."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connections.documents import open_documents
from etl.genres import GenreTree, find_genres_file, genre_names, read_genres, write_genres
from schemas.errors import InvalidInput
from schemas.settings import Settings

HEADER = "genre_id,#tracks,parent,title,top_level\n"


def read(folder: Path, rows: str, header: str = HEADER) -> GenreTree:
    path = folder / "genres.csv"
    path.write_text(header + rows, encoding="utf-8")
    return read_genres(path)


def test_the_official_tree_has_no_fault(sample_data: Path) -> None:
    tree = read_genres(sample_data / "fma-metadata" / "genres.csv")
    assert tree.report() == {"genres": 163, "roots": 16, "depth": 5, "notes": {}}
    assert tree.genres[763] == {
        "_id": 763, "title": "Holiday", "parent": 16, "top_level": 38, "tracks": 268,
        "path": ["Experimental", "Novelty", "Sound Effects", "Holiday"],
    }  # fmt: skip
    assert tree.genres[337]["title"] == "Drum & Bass"
    assert all(genre["path"][-1] == genre["title"] for genre in tree.genres.values())
    assert all(tree.genres[genre["top_level"]]["parent"] is None for genre in tree.genres.values())
    assert tree.with_parents([763, 21, 999_999]) == {763, 16, 6, 38, 21}


def test_the_raw_table_stands_in_and_its_known_faults_are_noted(sample_data: Path, tmp_path: Path) -> None:
    raw = sample_data / "fma-metadata" / "raw_genres.csv"
    (tmp_path / "raw_genres.csv").symlink_to(raw)
    assert find_genres_file(tmp_path) == tmp_path / "raw_genres.csv"
    tree = read_genres(raw)
    # 13, 580 and 810 have parents that do not exist, 763 is its own: see creation.ipynb of mdeff/fma
    assert tree.report()["notes"] == {"parent is missing": 3, "parents run in a circle": 1}
    assert [tree.genres[each]["parent"] for each in (13, 580, 810, 763)] == [None] * 4
    (tmp_path / "genres.csv").write_text(HEADER)
    assert find_genres_file(tmp_path) == tmp_path / "genres.csv"


def test_what_is_wrong_is_noted_and_the_tree_stays_one(tmp_path: Path) -> None:
    tree = read(
        tmp_path,
        "1,5,0,Rock,1\n1,5,0,Again,1\n2,x,1,<b>Punk</b>,9\n3,1,4,A,5\n4,1,5,B,5\n5,1,3,C,5\n6,1,77,Lost,6\n"
        "x,1,0,No number,0\n7,1,0,,7\n8,1,8,Own,8\n",
    )
    assert tree.notes == {
        "number stands twice": 1,
        "not a whole number": 2,
        "row without number or title": 2,
        "wrong top level": 1,
        "parents run in a circle": 2,
        "parent is missing": 1,
    }
    assert tree.genres[2] == {
        "_id": 2, "title": "Punk", "parent": 1, "top_level": 1, "path": ["Rock", "Punk"], "tracks": 0,
    }  # fmt: skip
    assert sum(genre["parent"] is None for genre in tree.genres.values()) == 4
    assert tree.genres[6]["parent"] is None


@given(st.dictionaries(st.integers(1, 30), st.integers(0, 30), min_size=1))
def test_any_parents_become_a_forest(
    tmp_path_factory: pytest.TempPathFactory, parents: dict[int, int]
) -> None:
    rows = "".join(f"{number},0,{parent},G{number},0\n" for number, parent in parents.items())
    tree = read(tmp_path_factory.getbasetemp(), rows)
    assert tree.genres.keys() == parents.keys()
    for number, genre in tree.genres.items():
        line = [number]
        while (parent := tree.genres[line[-1]]["parent"]) is not None:
            assert parent not in line
            line.append(parent)
        assert genre["top_level"] == line[-1]
        assert genre["path"] == [f"G{each}" for each in reversed(line)]


@pytest.mark.parametrize("header", ["genre_id,title\n", "id,parent,title\n", "genre_id,genre_title\n", ""])
def test_a_missing_column_is_named(tmp_path: Path, header: str) -> None:
    with pytest.raises(InvalidInput, match="is missing in"):
        read(tmp_path, "1,2,3\n", header)


@pytest.mark.parametrize(("rows", "message"), [("", "holds no genre"), ("x,y\n", "holds no genre")])
def test_an_unusable_table_is_one_sentence(tmp_path: Path, rows: str, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        read(tmp_path, rows)
    (tmp_path / "genres.csv").write_bytes(HEADER.encode() + b"1,1,0,\xff,1\n")
    with pytest.raises(InvalidInput, match="cannot be read"):
        read_genres(tmp_path / "genres.csv")


def test_genre_titles_are_not_repeated() -> None:
    titles = {12: "Rock", 21: "Hip-Hop", 45: "Loud-Rock"}
    assert genre_names("Rock", "[12, 45]", titles) == ["Rock", "Loud-Rock"]
    assert genre_names("", "[]", titles) == []
    assert genre_names("", "", titles) == []
    with pytest.raises(ValueError, match="not a list"):
        genre_names("", "[12, x]", titles)


async def test_the_tree_is_stored_and_twice_changes_nothing(settings: Settings, tmp_path: Path) -> None:
    tree = read(tmp_path, "1,5,0,Rock,1\n2,1,1,Punk,1\n")
    async with open_documents(settings) as database:
        assert await write_genres(database, tree) == 2
        assert await write_genres(database, tree) == 0
        assert await write_genres(database, read(tmp_path, "1,5,0,Rock,1\n3,1,1,Metal,1\n")) == 2
        assert [each["_id"] async for each in database["genres"].find({}).sort("_id", 1)] == [1, 3]
