"""HTML to text, and licences."""

import doctest

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etl import text


def test_the_examples_in_the_docstrings_hold() -> None:
    assert doctest.testmod(text).failed == 0


@pytest.mark.parametrize(
    ("html", "plain"),
    [
        ("", ""),
        ("  Electric\r\n\tAve ", "Electric Ave"),
        ("<p>A&nbsp;B</p><script>alert(1)</script>", "A B"),
        ("<untitled>", "<untitled>"),
        ("Rock & Roll", "Rock & Roll"),
        ("Ænima – Ελλάδα", "Ænima – Ελλάδα"),
        ("1 < 2 and 3 > 2", "1 < 2 and 3 > 2"),
    ],
)
def test_known_texts(html: str, plain: str) -> None:
    assert text.plain_text(html) == plain


@given(st.text())
def test_any_text_becomes_one_line_and_is_not_lost(html: str) -> None:
    plain = text.plain_text(html)
    assert "\n" not in plain
    assert bool(plain) == bool(html.strip()) or not plain.strip()


@pytest.mark.parametrize(
    ("licence", "path"),
    [
        ("Attribution-Noncommercial-No Derivative Works 3.0 United States", "by-nc-nd/3.0/us/"),
        ("Attribution-Noncommercial-Share Alike 2.0 UK: England ", "by-nc-sa/2.0/uk/"),
        ("Creative Commons Attribution-NonCommercial-NoDerivatives 4.0", "by-nc-nd/4.0/"),
        ("Attribution 3.0 International", "by/3.0/"),
        ("Attribution-NoDerivs 2.5 Canada", "by-nd/2.5/ca/"),
    ],
)
def test_a_licence_name_gives_its_deed(licence: str, path: str) -> None:
    assert text.licence_url(licence) == f"https://creativecommons.org/licenses/{path}"


@pytest.mark.parametrize(
    "licence",
    [
        "",
        "Attribution",
        "Sampling Plus",
        "ideology.de",
        "Attribution-NonCommercial-NoDerivatives (aka X) 3.0 Y",
    ],
)
def test_an_uncertain_licence_gives_no_deed(licence: str) -> None:
    assert text.licence_url(licence) is None
