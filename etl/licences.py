"""Creative Commons licences from the names and addresses that FMA gives."""

import re
from dataclasses import dataclass
from functools import lru_cache

_SITE = "https://creativecommons.org/"
_ELEMENTS = (
    ("by", re.compile(r"attribution")),
    ("nc", re.compile(r"non-?commercial")),
    ("sa", re.compile(r"share[ -]?alike")),
    ("nd", re.compile(r"no[ -]?deriv(?:ative)?s?(?: works)?")),
)
_VERSION = re.compile(r"\b([1-4]\.\d)\b(.*)")
# what editors added to a name and what changes nothing in it
_REMARKS = re.compile(r"\((?:aka music sharing|will not appear in vimeo music store)\)")
_WORDS = re.compile(
    r"(?:creative commons|cc|attribution|non-?commercial|share[ -]?alike|no[ -]?deriv(?:ative)?s?(?: works)?"
    r"|licen[cs]e|[\s,-])*"
)
_SAMPLING = re.compile(r"(noncommercial )?sampling plus(?: 1\.0)?")
_PLACES = {
    "": "", "international": "", "unported": "", "generic": "", "universal": "", "argentina": "ar/",
    "australia": "au/", "austria": "at/", "belgium": "be/", "brazil": "br/", "bulgaria": "bg/",
    "canada": "ca/", "chile": "cl/", "china mainland": "cn/", "colombia": "co/", "croatia": "hr/",
    "czech republic": "cz/", "denmark": "dk/", "ecuador": "ec/", "estonia": "ee/", "france": "fr/",
    "germany": "de/", "greece": "gr/", "hong kong": "hk/", "hungary": "hu/", "india": "in/",
    "ireland": "ie/", "israel": "il/", "italy": "it/", "japan": "jp/", "luxembourg": "lu/",
    "macedonia": "mk/", "malaysia": "my/", "malta": "mt/", "mexico": "mx/", "netherlands": "nl/",
    "new zealand": "nz/", "norway": "no/", "peru": "pe/", "philippines": "ph/", "poland": "pl/",
    "portugal": "pt/", "puerto rico": "pr/", "romania": "ro/", "serbia": "rs/", "singapore": "sg/",
    "slovenia": "si/", "south africa": "za/", "south korea": "kr/", "spain": "es/", "sweden": "se/",
    "switzerland": "ch/", "taiwan": "tw/", "thailand": "th/", "uk: england": "uk/",
    "uk: england & wales": "uk/", "uk: scotland": "scotland/", "united states": "us/", "vietnam": "vn/",
}  # fmt: skip
_DEED = re.compile(
    r"https?://(?:www\.)?creativecommons\.org/"
    r"((?:licenses|publicdomain)/[a-z+-]+/\d\.\d(?:/(?!deed|legalcode)[a-z]{2,8})?)"
    r"/?(?:deed(?:\.[a-z_-]+)?|legalcode)?",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Licence:
    """What a name says.

    Attributes
    ----------
    code : Creative Commons' own short name (``"by-nc-sa"``, ``"zero"``), or None: not one of theirs
    url : the deed, or None when the name does not tell it for certain: without a version there is none
    """

    code: str | None = None
    url: str | None = None


@lru_cache(maxsize=1024)
def read_licence(name: str) -> Licence:
    """Return the Creative Commons licence that a name means.

    >>> read_licence("Attribution-NonCommercial-ShareAlike 3.0 International").url
    'https://creativecommons.org/licenses/by-nc-sa/3.0/'
    >>> read_licence("Attribution-ShareAlike")
    Licence(code='by-sa', url=None)
    """
    text = " ".join(_REMARKS.sub(" ", name.lower()).split()).removeprefix("creative commons ")
    if text.startswith(("cc0", "public domain dedication")):
        return Licence("zero", f"{_SITE}publicdomain/zero/1.0/")
    if text.startswith("public domain mark"):
        return Licence("mark", f"{_SITE}publicdomain/mark/1.0/")
    if text == "music sharing":  # Creative Commons' own other name of it
        return Licence("by-nc-nd")
    sampling = _SAMPLING.fullmatch(text)
    if sampling:  # there is one version of these
        code = "nc-sampling+" if sampling[1] else "sampling+"
        return Licence(code, f"{_SITE}licenses/{code}/1.0/")
    return _elements(text)


def _elements(text: str) -> Licence:
    if not text.startswith("attribution"):
        return Licence()
    found = _VERSION.search(text)
    words = text[: found.start()] if found else text
    if _WORDS.fullmatch(words) is None:
        return Licence()
    code = "-".join(short for short, pattern in _ELEMENTS if pattern.search(words))
    place = _PLACES.get(found[2].strip()) if found else None
    if found is None or place is None:
        return Licence(code)
    path = "by-nd-nc" if (code, found[1]) == ("by-nc-nd", "1.0") else code  # 1.0 named them in this order
    return Licence(code, f"{_SITE}licenses/{path}/{found[1]}/{place}")


def licence_url(name: str) -> str | None:
    """Return the deed of a Creative Commons licence from its name, or None when that is not certain."""
    return read_licence(name).url


@lru_cache(maxsize=1024)
def deed(url: str) -> str:
    """Return the address of a Creative Commons deed in its one form; any other address as it is.

    >>> deed("http://www.creativecommons.org/licenses/BY-NC/3.0/us/deed.en")
    'https://creativecommons.org/licenses/by-nc/3.0/us/'
    """
    found = _DEED.fullmatch(url)
    return f"{_SITE}{found[1].lower()}/" if found else url
