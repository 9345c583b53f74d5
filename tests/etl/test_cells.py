"""Single cells: known answers, round trips, and that nothing but a fault comes out of what is wrong."""

import datetime
import math

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from etl import cells
from etl.literals import read_literal
from schemas.events import MAX_ID

READERS = (
    cells.whole, cells.positive, cells.within(-90, 90), cells.duration_ms, cells.instant, cells.date,
    cells.year, cells.web_address, cells.language, cells.one_of("small", "large"), cells.flag, cells.tags,
    cells.genre_numbers, read_literal,
)  # fmt: skip
TIMES = st.integers(-3_471_292_800, 1_766_000_000).map(
    lambda seconds: (
        datetime.datetime.fromtimestamp(0, datetime.UTC).replace(tzinfo=None)
        + datetime.timedelta(seconds=seconds)
    )
)
WORDS = st.text(
    alphabet=st.characters(codec="utf-8", categories=["L", "N", "P", "S"], exclude_characters="<&"),
    min_size=1,
    max_size=30,
)
ODD = st.text(alphabet="[]{}'\"\\,: -+./0123456789eTnaxuUPAM\n\x00٣²", max_size=30)


@given(st.one_of(st.text(min_size=1), ODD.filter(bool)))
@example("9" * 5000)
@example("[" * 5000)
@example("\\" * 3000)
@example("1e400")
@example("nan")
@example("[{'genre_id': None}]")
@example("[{'genre_id': '21', 'x': ['a']}, 3]")
@example("0x10")
@example("2008-11-26 01:44:60")
def test_any_cell_has_a_value_or_a_fault_of_one_line(cell: str) -> None:
    for read in READERS:
        kind = ""
        try:
            read(cell)
        except ValueError as fault:
            kind = str(fault)
        assert "\n" not in kind
        assert len(kind) < 200


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        ("0", 0),
        ("256000", 256_000),
        ("12.0", 12),
        (" 7 ", 7),
        ("-1", None),
        ("-1.0", None),
        (str(MAX_ID), MAX_ID),
    ],
)
def test_whole_numbers(cell: str, value: int | None) -> None:
    assert cells.whole(cell) == value


@pytest.mark.parametrize(
    ("cell", "kind"),
    [("-2", "not a whole number"), ("1.5", "not a whole number"), ("x", "not a whole number"),
     (str(MAX_ID + 1), "number out of range"), ("9" * 400, "number out of range")],
)  # fmt: skip
def test_what_is_no_whole_number_is_a_fault(cell: str, kind: str) -> None:
    with pytest.raises(ValueError, match=kind):
        cells.whole(cell)


@given(st.integers(0, MAX_ID))
def test_whole_numbers_survive(number: int) -> None:
    assert cells.whole(str(number)) == number
    assert cells.positive(str(number)) == (number or None)


@given(st.floats(allow_nan=True, allow_infinity=True))
def test_a_latitude_lies_between_the_poles(number: float) -> None:
    inside = not math.isnan(number) and -90 <= number <= 90
    if inside:
        assert cells.within(-90, 90)(repr(number)) == number
    else:
        with pytest.raises(ValueError, match="out of range"):
            cells.within(-90, 90)(repr(number))


@pytest.mark.parametrize(
    ("cell", "instant", "date"),
    [
        ("2008-11-26 01:44:45", "2008-11-26T01:44:45", "2008-11-26T01:44:45"),
        ("2008-11-26 00:00:00", "2008-11-26T00:00:00", "2008-11-26"),
        ("2008-11-26", "2008-11-26", "2008-11-26"),
        ("2005", "2005", "2005"),
        ("2005.0", "2005", "2005"),
        ("11/26/2008 01:48:12 PM", "2008-11-26T13:48:12", "2008-11-26T13:48:12"),
        ("11/26/2008 12:48:12 AM", "2008-11-26T00:48:12", "2008-11-26T00:48:12"),
        ("11/26/2008", "2008-11-26", "2008-11-26"),
        ("2012-02-29", "2012-02-29", "2012-02-29"),
    ],
)
def test_dates(cell: str, instant: str, date: str) -> None:
    assert (cells.instant(cell), cells.date(cell)) == (instant, date)


@pytest.mark.parametrize(
    "cell",
    ["0000-00-00 00:00:00", "0", "2100-01-01", "1859", "2008-13-01", "2011-02-29", "2008-11-26 24:00:01",
     "13/40/2008", "11/26/2008 13:00:00 PM", "9999-12-31 23:59:59"],
)  # fmt: skip
def test_an_impossible_date_is_a_fault(cell: str) -> None:
    with pytest.raises(ValueError, match=r"^impossible date$"):
        cells.instant(cell)


@pytest.mark.parametrize(
    "cell", ["yesterday", "2008-11", "2008-11-26 01:44+05", "26 Nov 2008", "2008 10:00:00"]
)
def test_what_is_no_date_is_a_fault(cell: str) -> None:
    with pytest.raises(ValueError, match=r"^not a date$"):
        cells.date(cell)


@given(TIMES)
def test_dates_survive(moment: datetime.datetime) -> None:
    assert cells.instant(moment.isoformat(" ")) == moment.isoformat()
    assert cells.date(moment.date().isoformat() + " 00:00:00") == moment.date().isoformat()
    assert cells.instant(moment.strftime("%m/%d/%Y %I:%M:%S %p")) == moment.isoformat()
    assert cells.year(moment.isoformat(" ")) == moment.year


def test_a_year_of_0_is_not_known() -> None:
    assert cells.year("0.0") is None
    assert cells.year("2006-01-01 00:00:00") == 2006


@given(st.integers(1, 86_399))
def test_durations_survive(seconds: int) -> None:
    minutes, rest = divmod(seconds, 60)
    hours, left = divmod(minutes, 60)
    for cell in (str(seconds), f"{seconds}.0", f"{hours:02d}:{left:02d}:{rest:02d}"):
        assert cells.duration_ms(cell) == seconds * 1000
    if minutes < 1000:
        assert cells.duration_ms(f"{minutes:02d}:{rest:02d}") == seconds * 1000


@pytest.mark.parametrize("cell", ["long", "-3", "90000", "1:2:3:4", "nan", "inf", "25:00:00", "3:5"])
def test_what_is_no_duration_is_a_fault(cell: str) -> None:
    with pytest.raises(ValueError, match="is not"):
        cells.duration_ms(cell)


@pytest.mark.parametrize(
    "cell",
    [
        "http://kurtvile.com",
        "https://example.org:8080/a?b=c#d",
        "HTTP://EXAMPLE.ORG/",
        "http://www.müller.de/ä",
    ],
)
def test_web_addresses_stay(cell: str) -> None:
    assert cells.web_address(f" {cell}\n") == cell


@pytest.mark.parametrize(
    "cell",
    ["javascript:alert(1)", "www.example.org", "ftp://example.org", "http://", "http://a b", 'http://a/"><script>',
     "http://user:secret@example.org/", "http://example.org/\u202egnp.exe", "data:text/html,x",
     "http://a/" + "b" * 2000, "http:\\\\example.org", "//example.org"],
)  # fmt: skip
def test_what_is_no_web_address_is_a_fault(cell: str) -> None:
    with pytest.raises(ValueError, match="http"):
        cells.web_address(cell)


@given(st.lists(WORDS))
def test_tags_survive(tags: list[str]) -> None:
    assert cells.tags(repr(tags)) == (list(dict.fromkeys(tags)) or None)


@given(st.lists(st.text(max_size=20), max_size=5))
def test_any_list_that_python_writes_is_read(texts: list[str]) -> None:
    assert read_literal(repr(texts)) == texts


@pytest.mark.parametrize(
    "cell",
    ["[awol]", "['a'", "['a' 'b']", "__import__('os').system('true')", "[1, 2]", "['a', None]", "{'a': 'b'}",
     "'a'",
     "[['a']]", "['\\ud83d'", "[x for x in y]", "['a'] + ['b']", "[" * 50 + "]" * 50],
)  # fmt: skip
def test_tags_are_never_evaluated(cell: str) -> None:
    with pytest.raises(ValueError, match="list"):
        cells.tags(cell)


def test_half_a_surrogate_pair_in_a_tag_is_dropped() -> None:
    assert cells.tags(r"['a\ud83db', '\x41\u0042', 'it\'s']") == ["ab", "AB", "it's"]


@given(st.lists(st.integers(1, 2000)))
def test_genres_survive_in_both_forms(numbers: list[int]) -> None:
    once = list(dict.fromkeys(numbers))
    assert cells.genre_numbers(repr(numbers)) == once
    dictionaries = [
        {"genre_id": str(each), "genre_title": 'It\'s "x"', "genre_url": "http://a/"} for each in numbers
    ]
    assert cells.genre_numbers(repr(dictionaries)) == once


@given(st.text())
def test_a_genre_list_holds_digits_alone(cell: str) -> None:
    assume(cell)
    try:
        found = cells.genre_numbers(cell)
    except ValueError:
        return
    assert all(isinstance(each, int) and each >= 0 for each in found)
