"""Names and addresses of licences to the deeds of Creative Commons."""

import csv
import doctest
import gzip
import re
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etl import licences
from etl.licences import Licence, deed, licence_url, read_licence

DEED = re.compile(
    r"https://creativecommons\.org/(licenses/(by(-nc)?(-sa|-nd)?|by-nd-nc|(nc-)?sampling\+)/[1-4]\.\d/([a-z]{2,8}/)?"
    r"|publicdomain/(zero|mark)/1\.0/)"
)


def test_the_examples_in_the_docstrings_hold() -> None:
    assert doctest.testmod(licences).failed == 0


@pytest.mark.parametrize(
    ("licence", "path"),
    [
        ("Attribution-Noncommercial-No Derivative Works 3.0 United States", "licenses/by-nc-nd/3.0/us/"),
        ("Attribution-Noncommercial-Share Alike 2.0 UK: England ", "licenses/by-nc-sa/2.0/uk/"),
        ("Creative Commons Attribution-NonCommercial-NoDerivatives 4.0", "licenses/by-nc-nd/4.0/"),
        (
            "Attribution-NonCommercial-NoDerivatives (aka Music Sharing) 3.0 International",
            "licenses/by-nc-nd/3.0/",
        ),
        (
            "Attribution-NonCommercial-ShareAlike 3.0 (Will Not Appear in Vimeo Music Store)",
            "licenses/by-nc-sa/3.0/",
        ),
        ("Attribution 3.0 International", "licenses/by/3.0/"),
        ("Attribution-NoDerivs 2.5 Canada", "licenses/by-nd/2.5/ca/"),
        ("Attribution-Noncommercial-Share Alike 3.0 Brazil", "licenses/by-nc-sa/3.0/br/"),
        ("Attribution-NonCommercial-NoDerivs 1.0", "licenses/by-nd-nc/1.0/"),
        ("Noncommercial Sampling Plus", "licenses/nc-sampling+/1.0/"),
        ("Sampling Plus 1.0", "licenses/sampling+/1.0/"),
        ("CC0 1.0 Universal", "publicdomain/zero/1.0/"),
        ("Public Domain Mark 1.0", "publicdomain/mark/1.0/"),
    ],
)
def test_a_licence_name_gives_its_deed(licence: str, path: str) -> None:
    assert licence_url(licence) == f"https://creativecommons.org/{path}"


@pytest.mark.parametrize(
    ("licence", "code"),
    [
        ("", None),
        ("Attribution", "by"),
        ("Attribution-NonCommercial-ShareAlike", "by-nc-sa"),
        ("Creative Commons Attribution", "by"),
        ("Music Sharing", "by-nc-nd"),
        ("ideology.de", None),
        ("Free Art License", None),
        ("Attribution-NonCommercial-NoDerivatives (aka X) 3.0 Y", None),
        ("Attribution 3.0 Atlantis", "by"),
    ],
)
def test_an_uncertain_licence_gives_no_deed(licence: str, code: str | None) -> None:
    assert read_licence(licence) == Licence(code, None)


@pytest.mark.parametrize(
    ("address", "one"),
    [
        ("http://creativecommons.org/licenses/by-nc-sa/3.0/", "https://creativecommons.org/licenses/by-nc-sa/3.0/"),
        ("http://creativecommons.org/licenses/by/4.0", "https://creativecommons.org/licenses/by/4.0/"),
        ("https://creativecommons.org/licenses/by/3.0/us/deed.en", "https://creativecommons.org/licenses/by/3.0/us/"),
        ("http://artlibre.org/licence/lal/en/", "http://artlibre.org/licence/lal/en/"),
        ("http://creativecommons.org.evil.example/licenses/by/4.0/", "http://creativecommons.org.evil.example/licenses/by/4.0/"),
    ],
)  # fmt: skip
def test_the_address_of_a_deed_has_one_form(address: str, one: str) -> None:
    assert deed(address) == one


WORDS = ("Attribution", "NonCommercial", "3.0", "-", "Share", "Alike", "CC0", "(aka", "US")


@given(st.one_of(st.text(), st.lists(st.sampled_from(WORDS)).map(" ".join)))
def test_any_name_gives_a_real_deed_or_none(name: str) -> None:
    found = read_licence(name)
    assert found.url is None or (DEED.fullmatch(found.url) and found.code)


def test_real_licences_are_recognised_and_the_rest_is_known(sample_data: Path) -> None:
    with gzip.open(
        sample_data / "fma-metadata" / "derived_tracks_three_row_header.csv.gz",
        "rt",
        encoding="utf-8",
        newline="",
    ) as file:
        rows = csv.reader(file)
        column = list(zip(*(next(rows) for _ in range(2)), strict=True)).index(("track", "license"))
        next(rows)
        texts = Counter(row[column] for row in rows if row[column])
    assert len(texts) == 58
    no_deed = {text for text in texts if licence_url(text) is None}
    assert {text for text in no_deed if read_licence(text).code is None} == {"ideology.de"}
    assert no_deed == {
        "Attribution", "Attribution-NonCommercial", "Attribution-NonCommercial-ShareAlike", "ideology.de",
        "Attribution-NoDerivatives", "Attribution-ShareAlike", "Creative Commons Attribution",
        "Music Sharing",
    }  # fmt: skip
    assert sum(texts.values()) - sum(texts[text] for text in no_deed) == 15_585
