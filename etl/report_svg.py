"""Figures of matplotlib as SVG inside a page: no fonts, no identifiers, colours that follow the page.

Nothing of pyplot is used, and matplotlib's settings are those of the block alone.
"""

import io
import re
import unicodedata
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from xml.etree import ElementTree

import matplotlib
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure

# Stand-ins: matplotlib writes these, the page's style sheet says what they are, by day and by night.
INK, LINE = "#0a0a01", "#0a0a02"
SERIES = tuple(f"#0a0b{number:02x}" for number in range(9))
_VARIABLES = {INK: "var(--soft)", LINE: "var(--line)"} | {
    colour: f"var(--series-{number})" for number, colour in enumerate(SERIES)
}
_COLOUR = re.compile("|".join(_VARIABLES))
_FONT = re.compile(r"font: *[^;]*?([\d.]+px)[^;]*")
_FAMILY = re.compile(r"font-family: *[^;]*;? *")
_DECIMALS = re.compile(r"-?\d+\.\d{3,}")
_REFERENCE = re.compile(r"#([\w-]+)")
_SETTINGS: dict[Any, Any] = {
    "svg.fonttype": "none",  # text stays text: small, searchable, in the reader's font
    "svg.hashsalt": "segue",  # the same figure has the same bytes
    "text.parse_math": False,  # a title may hold $
    "text.color": INK,
    "figure.dpi": 72.0,
    "font.size": 11.0,
    "axes.edgecolor": LINE,
    "axes.labelcolor": INK,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.axisbelow": True,
    "axes.unicode_minus": True,
    "axes.formatter.useoffset": False,
    "grid.color": LINE,
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "legend.fontsize": 10.5,
    "lines.linewidth": 1.6,
    "xtick.color": LINE,
    "xtick.labelcolor": INK,
    "ytick.color": LINE,
    "ytick.labelcolor": INK,
}


@contextmanager
def drawing(width: float, height: float, box: tuple[float, float, float, float]) -> Iterator[Axes]:
    """Yield the axes of a new figure; draw and call ``svg`` within the block.

    Parameters
    ----------
    width, height : of the figure in CSS pixels, at which its text has 11
    box : left, top, right and bottom margin around the axes, in the same pixels
    """
    left, top, right, bottom = box
    with matplotlib.rc_context(), warnings.catch_warnings():
        matplotlib.rcdefaults()  # whatever settings the machine has
        matplotlib.rcParams.update(_SETTINGS)
        # of letters that matplotlib's font lacks; the reader's browser draws the text
        warnings.simplefilter("ignore", UserWarning)
        figure = Figure(figsize=(width / 72, height / 72))
        span = (width - left - right, height - top - bottom)
        yield figure.add_axes((left / width, bottom / height, span[0] / width, span[1] / height))


def svg(axes: Axes, name: str, title: str) -> Markup:
    """Return the figure as an element for a page.

    Parameters
    ----------
    name : put before the identifiers in it; letters, digits and hyphens, different for each figure
    title : read out instead of the picture
    """
    figure = axes.get_figure()
    assert isinstance(figure, Figure)
    file = io.BytesIO()
    # without these the file would tell when it was made
    absent: dict[str, Any] = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    figure.savefig(file, format="svg", transparent=True, metadata=absent)
    root = ElementTree.fromstring(file.getvalue())
    _to_page(root, name)
    root.attrib = {
        "viewBox": root.attrib["viewBox"],
        "role": "img",
        "aria-labelledby": f"{name}-title",
        "style": "stroke-linejoin:round;stroke-linecap:butt",  # what matplotlib says for a whole document
    }
    heading = ElementTree.Element("title", {"id": f"{name}-title"})
    heading.text = title
    root.insert(0, heading)
    # escaped by the serialiser
    return Markup(ElementTree.tostring(root, encoding="unicode"))


def _to_page(root: ElementTree.Element, name: str) -> None:
    """Leave what a page needs: its colours and font, and the identifiers that the figure itself refers to."""
    used = {
        found
        for element in root.iter()
        for value in element.attrib.values()
        if value.startswith("#") or "url(#" in value
        for found in _REFERENCE.findall(value)
    }
    for element in list(root.iter()):
        for child in [each for each in element if each.tag.endswith(("}metadata", "}style"))]:
            element.remove(child)
        element.tag = element.tag.rpartition("}")[2]  # in a page, what is inside <svg> is SVG
        element.attrib = dict(_attributes(element, name, used))
        if not (element.text or "").strip():
            element.text = None
        element.tail = "\n" if element.tag == "g" else None
    for group in root.iter("g"):
        points = [each for each in group if each.tag == "use"]
        if len({each.get("style") for each in points}) == 1:  # thousands of points, one look
            group.set("style", points[0].attrib["style"])
            for each in points:
                del each.attrib["style"]


def _attributes(element: ElementTree.Element, name: str, used: set[str]) -> Iterator[tuple[str, str]]:
    for key, value in element.attrib.items():
        if key == "id":
            if value in used:
                yield key, f"{name}-{value}"
            continue
        if key == "transform" and value.startswith("rotate(-0 "):
            continue
        if value.startswith("#") or "url(#" in value:
            value = _REFERENCE.sub(lambda found: f"#{name}-{found[1]}", value)
        elif key == "style":
            value = _FONT.sub(lambda found: f"font-size: {found[1]}", _FAMILY.sub("", value))
            value = _COLOUR.sub(lambda found: _VARIABLES[found[0]], value)
        else:
            value = _DECIMALS.sub(lambda found: f"{float(found[0]):.2f}", value)
        yield key.rpartition("}")[2], value


def label(text: str, most: int) -> str:
    """Return one line of printable characters, as wide as at most ``most`` Latin letters."""
    line = " ".join("".join(each if each.isprintable() else " " for each in text).split())
    if breadth(line) <= most:
        return line or "(no text)"
    while breadth(line) >= most:
        line = line[:-1]
    return f"{line}…"


def breadth(text: str) -> int:
    """Return the width of a text in Latin letters; a Chinese or Japanese sign counts twice."""
    return len(text) + sum(unicodedata.east_asian_width(each) in "WF" for each in text)
