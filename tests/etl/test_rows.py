"""Rows become safe, typed documents, whatever their cells hold."""

import unicodedata
from collections.abc import Iterator, Sequence
from typing import Any

import bson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from etl.columns import ESSENTIAL, all_pairs
from etl.genres import GenreTree
from etl.quality import Quality
from etl.rows import RowReader
from schemas.documents import Genre, TrackDetails
from tests.etl.conftest import COLUMNS
from tests.etl.test_text import ELEMENT, MARKUP

PAIRS = all_pairs([("", ""), *COLUMNS])
TREE = GenreTree(
    {
        12: Genre(_id=12, title="Rock", parent=None, top_level=12, path=["Rock"], tracks=1),
        45: Genre(_id=45, title="Loud-Rock", parent=12, top_level=12, path=["Rock", "Loud-Rock"], tracks=1),
    }
)
GOOD = {
    ("track", "title"): "Food", ("track", "genres"): "[45]", ("track", "genres_all"): "[45, 12]",
    ("track", "genre_top"): "Rock", ("track", "duration"): "168", ("artist", "id"): "1",
    ("artist", "name"): "AWOL",
}  # fmt: skip
PLAUSIBLE = st.sampled_from(
    ["", "-1", "0", "12.0", "2008-11-26 01:44:45", "0000-00-00", "[]", "['a', 'b']", "[21]", "http://a.b/c",
     "en", "small", "<p>x</p>", "a\nb", "1e308", "-90", "Attribution 3.0", "9" * 30]
)  # fmt: skip
CELL = st.one_of(PLAUSIBLE, MARKUP, st.text(max_size=20))


def describe(*rows: dict[tuple[str, str], str], quality: Quality | None = None) -> list[Any]:
    reader = RowReader(PAIRS, TREE, quality or Quality())
    columns = [tuple(row.get(pair, "") for row in rows) for pair in PAIRS]
    return list(reader.describe(list(range(1, len(rows) + 1)), columns))


def texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for each in value.values():
            yield from texts(each)
    elif isinstance(value, list):
        for each in value:
            yield from texts(each)


@given(st.lists(st.dictionaries(st.sampled_from(PAIRS), CELL, max_size=12), min_size=1, max_size=4))
def test_any_cells_give_a_reason_or_safe_documents(rows: list[dict[tuple[str, str], str]]) -> None:
    quality = Quality()
    found = describe(*[GOOD | row for row in rows], quality=quality)
    assert len(found) == len(rows)
    for each in found:
        if isinstance(each, str):
            assert each.split(":")[0] in ("no title", "duration", "artist id", "genres")
            continue
        for document in each:
            bson.encode(document)
            for text in texts(document):
                assert text == " ".join(text.split())
                assert not any(unicodedata.category(letter) in ("Cc", "Cs", "Zl", "Zp") for letter in text)
                assert ELEMENT.search(text) is None
        assert each.details.keys() <= TrackDetails.__annotations__.keys()
    bson.encode(quality.report())


@given(st.sampled_from([pair for pair in PAIRS[1:] if pair not in ESSENTIAL]), CELL)
def test_only_essential_cells_refuse_a_row(pair: tuple[str, str], cell: str) -> None:
    [found] = describe({**GOOD, pair: cell})
    assert not isinstance(found, str)
    assert found.track["title"] == "Food"


@pytest.mark.parametrize(
    ("pair", "cell", "reason"),
    [
        (("track", "title"), " <p> </p>", "no title"),
        (("track", "duration"), "long", "duration: 'long' is not a number"),
        (("artist", "id"), "0", "artist id: '0' is not a positive whole number"),
        (("artist", "id"), "4294967296", "artist id: '4294967296' is not a positive whole number"),
        (("track", "genres"), "Rock", "genres: 'Rock' is not a list of numbers"),
    ],
)
def test_an_essential_cell_refuses_its_row_alone(pair: tuple[str, str], cell: str, reason: str) -> None:
    first, second, third = describe(GOOD, {**GOOD, pair: cell}, GOOD)
    assert second == reason
    assert (first.track["_id"], third.track["_id"]) == (1, 3)


def test_faulty_cells_are_counted_by_column_and_kind_with_the_first_example() -> None:
    quality = Quality()
    bad = {
        ("track", "listens"): "many", ("track", "date_recorded"): "0000-00-00", ("artist", "latitude"): "91",
        ("album", "tags"): "[awol]", ("track", "genres"): "[45, 99]", ("track", "genre_top"): "Loud-Rock",
        ("track", "genres_all"): "[45]", ("set", "subset"): "huge", ("artist", "website"): "www.a.b",
    }  # fmt: skip
    first, second = describe(GOOD | bad, GOOD | bad, quality=quality)
    assert first.details == {"_id": 1, "genre_ids": [45]}
    assert second.track["genres"] == ["Loud-Rock"]
    report = quality.report()
    assert report["faulty_cells"] == {
        "album_tags": {"not a list as Python writes it": 2},
        "artist_latitude": {"number out of range": 2},
        "artist_website": {"not an http or https address": 2},
        "set_subset": {"none of small, medium, large, full": 2},
        "track_date_recorded": {"impossible date": 2},
        "track_genre_top": {"not a root of the tree": 2},
        "track_genres": {"unknown genre": 2},
        "track_genres_all": {"not the genres and their parents": 2},
        "track_listens": {"not a whole number": 2},
    }
    assert report["examples"]["track_listens"] == {"not a whole number": "track 1: 'many'"}


def _formatted(values: Sequence[tuple[tuple[str, str], Any]]) -> dict[tuple[str, str], str]:
    return {pair: str(value) for pair, value in values}


COUNT = st.integers(0, 10**9)
NAME = st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=20)


@given(st.fixed_dictionaries({
    ("track", "listens"): COUNT, ("track", "favorites"): COUNT, ("album", "listens"): COUNT,
    ("track", "composer"): NAME, ("artist", "location"): NAME, ("album", "type"): NAME,
    ("artist", "latitude"): st.floats(-90, 90), ("track", "tags"): st.lists(NAME, min_size=1, unique=True),
}))  # fmt: skip
def test_well_formed_rows_survive(values: dict[tuple[str, str], Any]) -> None:
    quality = Quality()
    [found] = describe(GOOD | _formatted(list(values.items())), quality=quality)
    details = found.details
    assert quality.cells == {}
    assert [details["listens"], details["favorites"], details["composer"], details["tags"]] == [
        values["track", "listens"], values["track", "favorites"], values["track", "composer"],
        values["track", "tags"],
    ]  # fmt: skip
    assert details["album"] == {"listens": values["album", "listens"], "type": values["album", "type"]}
    assert details["artist"] == {
        "location": values["artist", "location"], "latitude": values["artist", "latitude"],
    }  # fmt: skip


def test_long_texts_are_cut_and_what_was_cleaned_is_counted() -> None:
    quality = Quality()
    [found] = describe(
        GOOD | {("artist", "bio"): "<p>word\nword</p>" * 1000, ("track", "title"): "t" * 900}, quality=quality
    )
    assert len(found.details["artist"]["bio"]) <= 2000
    assert len(found.track["title"]) == 500
    assert quality.report()["texts_cleaned"] == {"cut": 2, "markup": 1, "line breaks": 1}
