"""Plain text and licences from what FMA's editors typed."""

import re
from html.parser import HTMLParser

_HIDDEN = frozenset({"script", "style"})
_BREAKS = frozenset({"br", "p", "div", "li", "tr", "h1", "h2", "h3", "h4"})
_SPACES = re.compile(r"\s+")


class _Text(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self._hidden = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._hidden += tag in _HIDDEN
        if tag in _BREAKS:
            self.parts.append(" ")

    def handle_endtag(self, tag: str) -> None:
        self._hidden -= tag in _HIDDEN and self._hidden > 0
        if tag in _BREAKS:
            self.parts.append(" ")

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.parts.append(data)


def plain_text(html: str) -> str:
    """Return one line of text: tags gone, entities decoded, white space and line breaks single spaces.

    >>> plain_text("<p>Dust &amp; <b>Caf\u00e9</b><br>Live</p>")
    'Dust & Caf\u00e9 Live'
    >>> plain_text("I <3 you\\n(demo)")
    'I <3 you (demo)'
    """
    if "<" not in html and "&" not in html:
        return _SPACES.sub(" ", html).strip()
    parser = _Text()
    parser.feed(html)
    parser.close()
    text = _SPACES.sub(" ", "".join(parser.parts)).strip()
    # a title such as "<untitled>" is a name, not markup
    return text or _SPACES.sub(" ", html).strip()


_ELEMENTS = (
    ("by", r"attribution"),
    ("nc", r"non-?commercial"),
    ("sa", r"share[ -]?alike"),
    ("nd", r"no ?deriv(?:ative)?s?(?: works)?"),
)
_VERSION = re.compile(r"\b([1-4]\.\d)\b(.*)")
_PLACES = {
    "": "", "international": "", "unported": "", "generic": "", "universal": "",
    "united states": "us/", "uk: england": "uk/", "france": "fr/", "germany": "de/", "italy": "it/",
    "netherlands": "nl/", "spain": "es/", "canada": "ca/", "mexico": "mx/", "new zealand": "nz/",
    "japan": "jp/",
}  # fmt: skip


def licence_url(licence: str) -> str | None:
    """Return the deed of a Creative Commons licence from its name, or None when that is not certain.

    >>> licence_url("Attribution-NonCommercial-ShareAlike 3.0 International")
    'https://creativecommons.org/licenses/by-nc-sa/3.0/'
    """
    name = licence.lower().strip().removeprefix("creative commons ")
    if name.startswith(("cc0", "public domain dedication")):
        return "https://creativecommons.org/publicdomain/zero/1.0/"
    version = _VERSION.search(name)
    if version is None or not name.startswith("attribution"):
        return None
    place = _PLACES.get(version.group(2).strip())
    if place is None:
        return None
    elements = "-".join(code for code, pattern in _ELEMENTS if re.search(pattern, name))
    return f"https://creativecommons.org/licenses/{elements}/{version.group(1)}/{place}"
