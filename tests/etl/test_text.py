"""Markup to one line of plain text."""

import doctest
import re
import unicodedata
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etl import text

ELEMENT = re.compile(
    r"</?(?:a|b|p|br|div|script|style|img|svg|iframe|span|i)(?![a-zA-Z0-9])[^<>]*>", re.IGNORECASE
)
PIECES = (
    "<", ">", "</", "<!--", "-->", "<![CDATA[", "<?", "<!d", "&lt;", "&gt;", "&#60;", "&amp;", "&", '"', "'",
    "=", "b", "script", "<b>", "</script>", "<img src=x onerror=", "\n", "\x00", "\u202e", "\xa0",
    " ", "İ", "ж",
)  # fmt: skip
MARKUP = st.lists(st.sampled_from(PIECES), max_size=40).map("".join)


def test_the_examples_in_the_docstrings_hold() -> None:
    assert doctest.testmod(text).failed == 0


@pytest.mark.parametrize(
    ("html", "plain"),
    [
        ("", ""),
        ("  Electric\r\n\tAve ", "Electric Ave"),
        ("<p>A&nbsp;B</p><script>alert(1)</script>", "A B"),
        ("<SCRIPT>x</Script >left<style>p{}</style>", "left"),
        ("<p></p>", ""),
        ("<untitled>", "<untitled>"),
        ("Track <untitled> mix", "Track <untitled> mix"),
        ("<?>", "<?>"),
        ("Rock & Roll", "Rock & Roll"),
        ("Sharper &amp; Clearer", "Sharper & Clearer"),
        ("&lt;script&gt;alert(1)&lt;/script&gt;x", "x"),
        ("<scr<script></script>ipt>alert(1)", ""),
        ("Ænima – Ελλάδα", "Ænima – Ελλάδα"),
        ("1 < 2 and 3 > 2", "1 < 2 and 3 > 2"),
        ('<p>Songs <span style="font-family:Verdana, A...', "Songs"),
        ("a <b and c", "a <b and c"),
        ("a<!-- hidden -->b<!-- open", "ab"),
        ("one\u2028two\x00three\u202efour", "one twothreefour"),
        ("<![if gte mso 9]>x", "<![if gte mso 9]>x"),
    ],
)
def test_known_texts(html: str, plain: str) -> None:
    assert text.plain_text(html) == plain


@given(st.one_of(st.text(), MARKUP))
def test_any_text_becomes_one_safe_line(html: str) -> None:
    plain = text.plain_text(html)
    assert not any(unicodedata.category(each) in ("Cc", "Cs", "Zl", "Zp") for each in plain)
    assert plain == " ".join(plain.split())
    assert ELEMENT.search(plain) is None
    assert "<!--" not in plain


@given(
    st.text(alphabet=st.characters(codec="utf-8", categories=["L", "N", "P", "S"], exclude_characters="<&"))
)
def test_words_without_markup_stay_as_they_are(words: str) -> None:
    assert text.plain_text(words) == words


@given(MARKUP, st.integers(1, 30))
def test_a_long_text_is_cut_to_its_limit(html: str, limit: int) -> None:
    found: Counter[str] = Counter()
    plain = text.plain_text(html, limit, found)
    assert len(plain) <= limit
    assert (found["cut"] == 1) == (len(text.plain_text(html)) > limit)


def test_what_was_cleaned_is_counted() -> None:
    found: Counter[str] = Counter()
    for each in ("plain", "<b>x</b>", "a\nb", "a\xa0b", "a\x07b", " \n end", "&amp;"):
        text.plain_text(each, None, found)
    assert +found == Counter({"markup": 2, "line breaks": 1, "control characters": 1})


@pytest.mark.parametrize(
    "piece", ["<", "<!--", "<a ", '<a b="', "</", "&#", "<![", "<script>", "&lt;b&gt;", "<b<b>"]
)
def test_hostile_markup_is_read_once(piece: str) -> None:
    # no bound on the time: a quadratic scanner needs minutes for some of these and meets pytest's limit
    assert len(text.plain_text((piece * 100_000)[:100_000])) <= 100_000
