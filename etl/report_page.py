"""The report's page: what is counted becomes figures and tables, and these become HTML."""

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from numpy.typing import NDArray

from etl import report_charts as charts
from etl import report_maths as maths
from etl.counting import FeatureGroup, RejectedKind, TrackCounts
from etl.progress import Meter
from etl.report_counts import Gap, GenreCount, LicenceCount
from etl.report_families import families
from etl.report_sample import Sample
from etl.report_tables import tables
from schemas.documents import CatalogueState, EtlReport, Scaler

COLOURS = 8
_LOADINGS = 5
# no text may hold them, and a page with them is no text
_CONTROLS = dict.fromkeys({*range(32), *range(127, 160)} - {ord("\n")}, "\ufffd")


@dataclass(frozen=True, slots=True)
class Content:
    """Everything that the page tells; no figure is drawn yet.

    Attributes
    ----------
    state : None when no load was complete yet
    genres, licences : the most frequent; ``distinct_genres`` counts all
    lengths : number of tracks by seconds
    rejections : by kind, the most frequent first
    sample : None without features, or without a scaler
    """

    source: str
    state: CatalogueState | None
    counts: TrackCounts
    groups: list[FeatureGroup]
    genres: list[GenreCount]
    distinct_genres: int
    lengths: dict[int, int]
    licences: list[LicenceCount]
    rejections: list[RejectedKind]
    scalers: list[Scaler]
    run: EtlReport | None
    gaps: list[Gap]
    sample: Sample | None


@dataclass(frozen=True, slots=True)
class FamilyFigure:
    """Distributions of one family: the figure, and its rows of (name, five quantiles)."""

    title: str
    figure: Markup
    rows: list[tuple[str, list[float]]]


@dataclass(frozen=True, slots=True)
class MapFigure:
    """The map of tracks.

    Attributes
    ----------
    outside : points that lie beyond what is drawn
    genres : (genre, shape of its points, tracks, mean along the first component, and the second)
    loadings : for each component the features that it is made of most, with their weights
    explained : share of the variance, each 0 to 1
    """

    figure: Markup
    outside: int
    genres: list[tuple[str, str, int, float, float]]
    loadings: list[list[tuple[str, float]]]
    explained: tuple[float, float]


def render(content: Content, progress: Meter) -> str:
    """Return the page. The same content gives the same page."""
    environment = Environment(
        loader=PackageLoader("etl"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    environment.filters |= {"cell": _cell, "share": _share, "moment": _moment, "clock": charts.clock}
    figures: dict[str, Any] = {"genre_bars": None, "length_bars": None, "rejection_bars": None}
    if content.genres:
        rows = [(each.title, each.tracks) for each in content.genres]
        figures["genre_bars"] = charts.bars("genres", "Tracks by genre", rows, "tracks")
    if content.lengths:
        found = maths.histogram(content.lengths)
        figures["length_bars"] = charts.length_bars("lengths", "Tracks by length", found)
        figures["lengths"] = _length_rows(content.lengths, content.counts.total_ms)
        figures["beyond"] = (found.beyond, found.edges[-1])
    if content.rejections:
        rows = [(each.kind, each.count) for each in content.rejections]
        figures["rejection_bars"] = charts.bars("rejections", "Rejections by reason", rows, "rejections")
    progress.advance()
    figures["map"] = _map(content.sample) if content.sample else None
    progress.advance()
    figures["families"] = _families(content.sample) if content.sample else []
    progress.advance()
    told = list(tables(content.run["report"])) if content.run else []
    page = environment.get_template("report.html").render(content=content, told=told, **figures)
    return page.translate(_CONTROLS) + "\n"


def _length_rows(lengths: dict[int, int], total_ms: int) -> list[tuple[str, str]]:
    shares = {"shortest": 0.0, "5 % are at most": 0.05, "half are at most": 0.5, "95 % are at most": 0.95}
    values = maths.length_quantiles(lengths, [*shares.values(), 1.0])
    rows = [(name, charts.clock(value)) for name, value in zip([*shares, "longest"], values, strict=True)]
    return [*rows, ("together", f"{total_ms / 3_600_000:,.1f} hours")]


def _map(sample: Sample) -> MapFigure | None:
    found = maths.principal_components(sample.vectors)
    if found is None:
        return None
    counted = sorted(Counter(sample.genres).items(), key=lambda item: (-item[1], item[0]))
    shown = [genre for genre, _ in counted[:COLOURS]]
    rest = len(counted) - len(shown)
    other = "1 other genre" if rest == 1 else f"{rest:,} other genres"
    window, outside = maths.window(found.scores)
    title = "Map of tracks by their sound"
    figure = charts.track_map("map", title, found, window, sample.genres, shown, other)
    belongs = np.array([shown.index(genre) if genre in shown else COLOURS for genre in sample.genres])
    rows = []
    for number, title in [*enumerate(shown), (COLOURS, other)]:
        here = found.scores[belongs == number]
        if len(here):
            mark = charts.MARK_WORDS[number] if number < COLOURS else "small dot"
            rows.append((title, mark, len(here), *_centre(here)))
    loadings = [_loadings(axis, sample.names) for axis in found.axes]
    return MapFigure(figure, outside, rows, loadings, found.explained)


def _centre(scores: NDArray[np.float64]) -> tuple[float, float]:
    first, second = scores.mean(axis=0)
    return float(first), float(second)


def _loadings(axis: NDArray[np.float64], names: list[str]) -> list[tuple[str, float]]:
    """Return the features that an axis is made of most."""
    order = np.argsort(-np.abs(axis), kind="stable")[:_LOADINGS]
    return [(names[column], float(axis[column])) for column in order]


def _families(sample: Sample) -> list[FamilyFigure]:
    if not len(sample.vectors):
        return []
    found = maths.quantiles(sample.vectors)
    margin = 0.05 * max(float(np.ptp(found)), 1e-9)
    limits = (float(found.min()) - margin, float(found.max()) + margin)
    made = []
    for number, family in enumerate(families(sample.names)):
        part = found[:, family.columns]
        draw = charts.series_bands if family.series else charts.boxes
        figure = draw(f"family-{number}", f"Distribution of {family.title}", family, part, limits)
        names = [sample.names[column] for column in family.columns]
        made.append(FamilyFigure(family.title, figure, list(zip(names, part.T.tolist(), strict=True))))
    return made


def _cell(value: Any) -> str:
    """Return a value as a reader writes it."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:,.4g}" if isinstance(value, float) else str(value)


def _share(count: int, of: int) -> str:
    """Return a share in per cent; a small one does not become nothing, nor a large one everything."""
    if not of:
        return "none"
    percent = 100 * count / of
    if 0 < percent < 0.1:
        return "< 0.1 %"
    return "> 99.9 %" if 99.9 < percent < 100 else f"{percent:.1f} %"


def _moment(time_ms: int) -> str:
    return datetime.fromtimestamp(time_ms // 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")
