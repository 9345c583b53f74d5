"""Plain text from what FMA's editors typed.

The scanner is our own: ``html.parser`` raises on ``<![`` and takes seconds for 20 KB of ``<a ``. This one
reads every character once.
"""

import html
import re
from collections import Counter

NAME_LIMIT = 500
"""Longest title or name in characters."""
TEXT_LIMIT = 2_000
"""Longest free text (biography, information) in characters."""

_HIDDEN = {name: re.compile(rf"</{name}\b[^>]*>?", re.IGNORECASE) for name in ("script", "style")}
_BREAK_NAMES = "br p div li tr td th ul ol dd dt hr h1 h2 h3 h4 h5 h6 blockquote table"
_ELEMENT_NAMES = (
    "a abbr acronym address applet area article aside audio b base basefont bdi bdo big blink blockquote "
    "body br button canvas caption center cite code col colgroup data datalist dd del details dfn dialog "
    "dir div dl dt em embed fieldset figcaption figure font footer form frame frameset h1 h2 h3 h4 h5 h6 "
    "head header hr html i iframe img input ins kbd label legend li link main map mark marquee math menu "
    "meta meter nav nobr noembed noframes noscript object ol optgroup option output p param picture "
    "plaintext pre progress q rp rt ruby s samp script section select slot small source span strike "
    "strong style sub summary sup svg table tbody td template textarea tfoot th thead time title tr track "
    "tt u ul var video wbr xmp"
)
_BREAKS = frozenset(_BREAK_NAMES.split())
_ELEMENTS = frozenset(_ELEMENT_NAMES.split())
_NAME = re.compile(r"</?([a-zA-Z][a-zA-Z0-9]*)")
_TAG = re.compile(
    rf"</?(?:{'|'.join(sorted(_ELEMENTS))})(?![a-zA-Z0-9])[^<>]*>|<!--|<[!?][a-zA-Z]", re.IGNORECASE
)
# controls, overrides of the writing direction, halves of surrogate pairs
_UNSEEN = re.compile("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]+")
_COMMON = re.compile(r"</?([a-zA-Z][a-zA-Z0-9]*)[^<>]*>")
_UNCOMMON = re.compile(r"<(?:[!?]|script|style)", re.IGNORECASE)
_ATTRIBUTE = re.compile(r"\s+[a-zA-Z:-]+\s*=")
_PASSES = 3


def plain_text(markup: str, limit: int | None = None, found: Counter[str] | None = None) -> str:
    """Return one line of text: tags gone, entities decoded, white space and line breaks single spaces.

    The line holds no control character and nothing that a browser would take for an element of HTML. What
    looks like a tag but is none (``<untitled>``, ``<3``) is a name and stays.

    Parameters
    ----------
    markup : any text
    limit : longest result in characters; a longer one ends with an ellipsis
    found : counts what was cleaned: "markup", "line breaks", "control characters", "cut"

    >>> plain_text("<p>Dust &amp; <b>Caf\u00e9</b><br>Live</p>")
    'Dust & Caf\u00e9 Live'
    >>> plain_text("I <3 you\\n(demo)")
    'I <3 you (demo)'
    """
    text = markup
    if "<" in text or "&" in text:
        text = _without_markup(text)
        if found is not None and text != markup:
            found["markup"] += 1
    if not text.isprintable():  # a non-breaking space is not printable either
        text = _printable(text, found)
    elif "  " in text:
        text = " ".join(text.split())
    else:
        text = text.strip()
    if limit is not None and len(text) > limit:
        if found is not None:
            found["cut"] += 1
        text = text[: limit - 1].rstrip() + "…"
    return text


def _printable(text: str, found: Counter[str] | None) -> str:
    lines = text.strip().splitlines()
    one = " ".join(text.split())
    visible = " ".join(_UNSEEN.sub("", one).split())
    if found is not None:
        found["line breaks"] += len(lines) > 1
        found["control characters"] += visible != one
    return visible


def _without_markup(markup: str) -> str:
    text = html.unescape(_strip_tags(markup))
    for _ in range(_PASSES):
        # tags that had been escaped, or that stood in each other
        if "<" not in text or _TAG.search(text) is None:
            return text
        text = _strip_tags(text)
    return text.replace("<", "‹") if _TAG.search(text) else text


def _strip_tags(markup: str) -> str:
    if _UNCOMMON.search(markup) is None:
        plain = _COMMON.sub(_instead, markup)  # five times as fast
        if "<" not in plain:
            return plain
    return _scanned(markup)


def _instead(tag: re.Match[str]) -> str:
    name = tag[1].lower()
    if name in _BREAKS:
        return " "
    return "" if name in _ELEMENTS else tag[0]


def _scanned(markup: str) -> str:
    parts: list[str] = []
    begin = at = 0
    while (at := markup.find("<", at)) >= 0:
        end, replacement = _tag_end(markup, at)
        if end is None:
            at += 1
            continue
        parts += (markup[begin:at], replacement)
        begin = at = end
    parts.append(markup[begin:])
    return "".join(parts)


def _tag_end(markup: str, at: int) -> tuple[int | None, str]:
    """Return where the tag that begins at ``at`` ends, and what stands in its place; None: it is no tag."""
    if markup.startswith("<!--", at):
        end = markup.find("-->", at + 4)
        # an open comment hides the rest, as in a browser
        return (len(markup) if end < 0 else end + 3), ""
    name = _NAME.match(markup, at)
    if name is None:
        if markup.startswith(("<!", "<?"), at) and markup[at + 2 : at + 3].isalpha():
            return _closing(markup, at + 2), ""
        return None, ""
    element = name[1].lower()
    if element not in _ELEMENTS:
        return None, ""
    end_of_tag = _closing(markup, name.end())
    if end_of_tag is None and _ATTRIBUTE.match(markup, name.end()):
        following = markup.find("<", name.end())  # cut within the tag
        return (len(markup) if following < 0 else following), ""
    if end_of_tag is not None and element in _HIDDEN and markup[at + 1] != "/":
        closed = _HIDDEN[element].search(markup, end_of_tag)
        return (len(markup) if closed is None else closed.end()), ""
    return end_of_tag, " " if element in _BREAKS else ""


def _closing(markup: str, begin: int) -> int | None:
    """Return the position after the next ``>``, or None when another ``<`` comes first."""
    following = markup.find("<", begin)
    end = markup.find(">", begin, None if following < 0 else following)
    return None if end < 0 else end + 1
