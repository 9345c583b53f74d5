"""Small figures as SVG elements of a page: 360 units wide, no script, no font, the page's colours.

Drawn by hand and not by matplotlib: a training draws a dozen of them each time, and they are lines, dots and
words. All text is escaped.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor, log10

from markupsafe import Markup

WIDTH = 360.0
_ROW, _ABOVE, _BELOW = 22.0, 6.0, 24.0
_LETTER = 6.2  # widest mean of a letter of 11 units
_RIGHT = 48.0
_TICKS = 4


@dataclass(frozen=True, slots=True)
class Row:
    """One contestant in a figure of intervals; ``series`` is the number of its colour."""

    label: str
    value: float
    low: float
    high: float
    series: int


def intervals(name: str, title: str, rows: Sequence[Row], *, zero: bool = False) -> Markup:
    """Return one line for each row: a dot at the value, a bar over the interval, the number to the right.

    Parameters
    ----------
    name : put before the identifiers, different for each figure of a page
    title : read out instead of the picture
    rows : at least one
    zero : mark 0 by a line; else the axis begins at 0
    """
    left = 10 + _LETTER * max(len(row.label) for row in rows)
    ends = [0.0, *(row.low for row in rows), *(row.high for row in rows)]
    axis = _Axis.over(min(ends), max(ends), left, WIDTH - _RIGHT)
    bottom = _ABOVE + _ROW * len(rows)
    parts = [axis.grid(_ABOVE, bottom)]
    if zero:
        parts.append(_line(axis.at(0), _ABOVE, axis.at(0), bottom, "zero"))
    for number, row in enumerate(rows):
        y = _ABOVE + _ROW * (number + 0.5)
        text = f"{row.value:+.4f}" if zero else f"{row.value:.4f}"
        colour = f"var(--series-{row.series})"
        parts.append(_text(left - 8, y + 4, row.label, "end"))
        parts.append(
            Markup('<rect x="{}" y="{}" width="{}" height="7" rx="3.5" style="fill:{};opacity:.4"/>').format(
                _n(axis.at(row.low)), _n(y - 3.5), _n(max(1.0, axis.at(row.high) - axis.at(row.low))), colour
            )
        )
        dot = Markup('<circle cx="{}" cy="{}" r="4" style="fill:{}"/>')
        parts.append(dot.format(_n(axis.at(row.value)), _n(y), colour))
        parts.append(_text(WIDTH - 2, y + 4, text, "end"))
    return _figure(name, title, bottom + _BELOW, parts)


def curves(name: str, title: str, lines: Sequence[tuple[str, int, Sequence[float]]]) -> Markup:
    """Return curves from (0, 0) to (1, 1), with the diagonal; each ends at a dash of its own in the legend.

    Parameters
    ----------
    lines : label, number of the colour, values at equal steps from 0 to 1
    """
    left, top, size = 44.0, 10.0, 270.0
    across = _Axis(0.0, 1.0, 0.2, left, left + size)
    up = _Axis(0.0, 1.0, 0.2, top + size, top)
    parts = [across.grid(top, top + size), _sideways(up, left, left + size)]
    parts.append(_line(left, top + size, left + size, top, "zero"))
    for number, (_, series, values) in enumerate(lines):
        at = [across.at(place / (len(values) - 1)) for place in range(len(values))]
        points = " ".join(f"{_n(x)},{_n(up.at(y))}" for x, y in zip(at, values, strict=True))
        parts.append(Markup('<polyline points="{}" style="{}"/>').format(points, _stroke(series, number)))
    below = top + size + 38
    for number, (label, series, _) in enumerate(lines):
        x, y = left + 150 * (number % 2), below + 18 * (number // 2)
        dash = Markup('<line x1="{}" y1="{}" x2="{}" y2="{}" style="{}"/>')
        parts.append(dash.format(_n(x), _n(y - 4), _n(x + 24), _n(y - 4), _stroke(series, number)))
        parts.append(_text(x + 30, y, label, "start"))
    return _figure(name, title, below + 18 * ceil(len(lines) / 2), parts)


@dataclass(frozen=True, slots=True)
class _Axis:
    """From ``low`` to ``high`` in steps, drawn from ``start`` to ``end``."""

    low: float
    high: float
    step: float
    start: float
    end: float

    @classmethod
    def over(cls, low: float, high: float, start: float, end: float) -> "_Axis":
        """Return an axis with round ends that holds two values."""
        span = (high - low) / _TICKS if high > low else 1.0  # nobody has a hit: from 0 to 1
        power = 10.0 ** floor(log10(span))
        step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= span * 0.999)
        least = floor(low / step + 1e-9)
        most = max(ceil(high / step - 1e-9), least + 1)
        return cls(least * step, most * step, step, start, end)

    def at(self, value: float) -> float:
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)

    def ticks(self) -> list[float]:
        return [self.low + turn * self.step for turn in range(round((self.high - self.low) / self.step) + 1)]

    def word(self, value: float) -> str:
        return f"{value + 0.0:.{max(0, -floor(log10(self.step) + 1e-9))}f}"

    def grid(self, top: float, bottom: float) -> Markup:
        """Return upright lines with their numbers below."""
        parts = []
        for value in self.ticks():
            parts.append(_line(self.at(value), top, self.at(value), bottom, "grid"))
            parts.append(_text(self.at(value), bottom + 15, self.word(value), "middle"))
        return Markup("").join(parts)


def _sideways(axis: _Axis, left: float, right: float) -> Markup:
    parts = []
    for value in axis.ticks():
        parts.append(_line(left, axis.at(value), right, axis.at(value), "grid"))
        parts.append(_text(left - 6, axis.at(value) + 4, axis.word(value), "end"))
    return Markup("").join(parts)


def _figure(name: str, title: str, height: float, parts: Sequence[Markup]) -> Markup:
    body = Markup("\n").join(parts)
    frame = Markup(
        '<svg viewBox="0 0 {} {}" role="img" aria-labelledby="{}-title">\n'
        '<title id="{}-title">{}</title>\n{}\n</svg>'
    )
    return frame.format(_n(WIDTH), _n(height), name, name, title, body)


def _line(x1: float, y1: float, x2: float, y2: float, kind: str) -> Markup:
    made = Markup('<line x1="{}" y1="{}" x2="{}" y2="{}" class="{}"/>')
    return made.format(_n(x1), _n(y1), _n(x2), _n(y2), kind)


def _text(x: float, y: float, words: str, anchor: str) -> Markup:
    return Markup('<text x="{}" y="{}" text-anchor="{}">{}</text>').format(_n(x), _n(y), anchor, words)


def _stroke(series: int, number: int) -> str:
    dashes = ("none", "7 3", "2 3", "9 3 2 3", "12 4")
    return f"fill:none;stroke:var(--series-{series});stroke-width:2;stroke-dasharray:{dashes[number % 5]}"


def _n(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")
