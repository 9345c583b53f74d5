"""The report's figures, each 360 CSS pixels wide: a telephone shows it in full size."""

from collections.abc import Sequence

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.ticker import FuncFormatter, MaxNLocator
from numpy.typing import NDArray

from etl.report_families import Family
from etl.report_maths import Components, Histogram
from etl.report_svg import INK, LINE, SERIES, breadth, drawing, label, svg

_WIDTH = 360.0
_ROW = 18.0
_LETTER = 5.9  # mean width of a letter of 11 pixels in matplotlib's font
_LONGEST = 24
MARKS = "os^DvPX*"
"""Shape of a genre's points: colours alone would not do."""
MARK_WORDS = ("circle", "square", "triangle", "diamond", "inverted triangle", "plus", "cross", "star")


def bars(name: str, title: str, rows: Sequence[tuple[str, int]], unit: str) -> Markup:
    """Return horizontal bars of counts, the first on top.

    Parameters
    ----------
    rows : at least one label and count
    unit : what is counted
    """
    labels = [label(text, _LONGEST) for text, _ in rows]
    counts = [count for _, count in rows]
    left = 12 + _LETTER * max(map(breadth, labels))
    right = 14 + _LETTER * len(f"{max(counts):,}")
    with drawing(_WIDTH, _ROW * len(rows) + 40, (left, 2, right, 38)) as axes:
        places = np.arange(len(rows))
        axes.barh(places, counts, height=0.72, color=SERIES[0])
        for place, count in zip(places, counts, strict=True):
            axes.annotate(
                f"{count:,}", (count, place), (4, 0), textcoords="offset points", va="center_baseline"
            )
        axes.set_yticks(places, labels)
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.set_xlim(0, max(*counts, 1))
        axes.tick_params(left=False)
        axes.spines["left"].set_visible(False)
        _counted(axes.xaxis, 4)
        axes.grid(axis="x")
        axes.set_xlabel(unit)
        return svg(axes, name, title)


def length_bars(name: str, title: str, found: Histogram) -> Markup:
    """Return the histogram of lengths."""
    left = 12 + _LETTER * len(f"{max(found.counts):,}")
    right = 8 + _LETTER * len(clock(found.edges[-1])) / 2
    with drawing(_WIDTH, 230, (left, 22, right, 38)) as axes:
        axes.bar(
            found.edges[:-1], found.counts, np.diff(found.edges), align="edge",
            color=SERIES[0], edgecolor="none",
        )  # fmt: skip
        step = max(1, -(-(len(found.edges) - 1) // 5))
        axes.set_xticks(found.edges[::step], [clock(edge) for edge in found.edges[::step]])
        axes.set_xlim(found.edges[0], found.edges[-1])
        _counted(axes.yaxis, 5)
        axes.grid(axis="y")
        axes.set_xlabel("length")
        _above(axes, "tracks")
        return svg(axes, name, title)


def series_bands(
    name: str, title: str, family: Family, found: NDArray[np.float64], limits: tuple[float, float]
) -> Markup:
    """Return quantile bands of a series: 5 to 95 %, 25 to 75 %, and the median.

    Parameters
    ----------
    found : float64 [5, features of the family]
    limits : of the vertical axis, the same for all families
    """
    low, lower, middle, upper, high = found
    with drawing(_WIDTH, 160, (34, 6, 10, 36)) as axes:
        places = np.arange(len(family.labels))
        axes.fill_between(places, low, high, color=SERIES[0], alpha=0.18, linewidth=0)
        axes.fill_between(places, lower, upper, color=SERIES[0], alpha=0.35, linewidth=0)
        axes.plot(places, middle, color=SERIES[0], marker="o", markersize=3)
        step = -(-len(places) // 12)
        axes.set_xticks(places[::step], [_short(each) for each in family.labels[::step]])
        axes.set_xlim(-0.5, len(places) - 0.5)
        axes.set_ylim(*limits)
        axes.axhline(0, color=LINE, linewidth=1)
        axes.grid(axis="y")
        if family.labels[0].isdigit():
            axes.set_xlabel("number")
        return svg(axes, name, title)


def boxes(
    name: str, title: str, family: Family, found: NDArray[np.float64], limits: tuple[float, float]
) -> Markup:
    """Return one row for each feature: a line from 5 to 95 %, a box from 25 to 75 %, a mark at the median."""
    low, lower, middle, upper, high = found
    labels = [label(each, _LONGEST) for each in family.labels]
    left = 18 + _LETTER * max(map(breadth, labels))
    with drawing(_WIDTH, _ROW * len(labels) + 48, (left, 8, 12, 38)) as axes:
        places = np.arange(len(labels))
        axes.hlines(places, low, high, color=SERIES[0], linewidth=1.2)
        axes.barh(places, upper - lower, 0.6, lower, color=SERIES[0], alpha=0.45)
        axes.vlines(middle, places - 0.36, places + 0.36, color=INK, linewidth=2)
        axes.set_yticks(places, labels)
        axes.set_ylim(len(labels) - 0.5, -0.5)
        axes.set_xlim(*limits)
        axes.tick_params(left=False)
        axes.axvline(0, color=LINE, linewidth=1, zorder=0)
        axes.grid(axis="x")
        axes.set_xlabel("standardised")
        return svg(axes, name, title)


def track_map(
    name: str,
    title: str,
    found: Components,
    window: NDArray[np.float64],
    genres: Sequence[str],
    shown: Sequence[str],
    other: str,
) -> Markup:
    """Return the tracks along two principal components.

    Parameters
    ----------
    window : the part that is drawn, float64 [2 axes, 2 ends]
    genres : of each track
    shown : at most eight of them, with a colour and a shape of their own
    other : words for the rest
    """
    size = float(np.clip(90 / np.sqrt(len(genres)), 2.6, 6.0))
    entries = len(shown) + bool(set(genres) - set(shown))
    below = 46 + _ROW * ((entries + 1) // 2)
    with drawing(_WIDTH, 320 + below, (42, 22, 18, below)) as axes:
        belongs = np.array([shown.index(genre) if genre in shown else -1 for genre in genres])
        for number in (-1, *range(len(shown))):
            here = found.scores[belongs == number]
            if len(here):
                axes.plot(
                    here[:, 0], here[:, 1],
                    linestyle="none", marker="." if number < 0 else MARKS[number],
                    color=SERIES[number], markersize=size, markeredgewidth=0, alpha=0.75,
                    label=label(other if number < 0 else shown[number], _LONGEST),
                )  # fmt: skip
        axes.grid()
        axes.set_xlim(*window[0])
        axes.set_ylim(*window[1])
        axes.xaxis.set_major_locator(MaxNLocator(6))
        first, second = (f"component ({100 * share:.1f} % of the variance)" for share in found.explained)
        axes.set_xlabel(f"first {first}")
        _above(axes, f"second {second}")
        handles, words = axes.get_legend_handles_labels()
        if belongs.min() < 0:  # the rest comes last
            handles, words = [*handles[1:], handles[0]], [*words[1:], words[0]]
        legend = axes.legend(
            handles, words, loc="upper left", bbox_to_anchor=(-0.11, -0.13), ncols=2,
            borderpad=0, handletextpad=0.3, columnspacing=1.0, labelspacing=0.45,
        )  # fmt: skip
        for handle in legend.legend_handles:
            if handle is not None:
                handle.set(markersize=7, alpha=1)
        return svg(axes, name, title)


def _short(counter: str) -> str:
    """Return 7 for 07, C# for cs."""
    if counter.isdigit():
        return label(counter.lstrip("0") or "0", 6)
    return label(counter.capitalize().replace("s", "♯"), 6)


def clock(seconds: int) -> str:
    """Return a length as minutes:seconds, from an hour on as hours:minutes:seconds."""
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def _above(axes: Axes, text: str) -> None:
    """Name the vertical axis above it, where the name is read as it stands and needs no width."""
    axes.set_title(text, loc="left", fontsize=11, pad=7, x=-0.02)


def _counted(axis: Axis, most: int) -> None:
    """Put whole numbers on an axis."""
    axis.set_major_locator(MaxNLocator(most, integer=True))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
