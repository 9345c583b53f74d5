"""The page about one judgement: figures and tables of an evaluation, one HTML file that asks for nothing."""

import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from schemas.errors import InvalidInput
from training.evaluation_tables import TITLES
from training.report_svg import Row, curves, intervals

METRIC_TITLES = {"ndcg_at_10": "NDCG@10", "recall_at_20": "Recall@20", "map_at_10": "MAP@10", "mrr": "MRR"}
SPLITS = {
    "time": "each user's latest interactions are held out",
    "random": "a seeded draw of each user's interactions is held out, for they have no times",
    "mixed": "each user's latest interactions are held out, a seeded draw where they have no times",
    "global": "what happened after one moment, the same for everybody, is held out",
}
# no text may hold them, and a page with them is no text
_CONTROLS = dict.fromkeys({*range(32), *range(127, 160)} - {ord("\n")}, "\ufffd")


@dataclass(frozen=True, slots=True)
class Subject:
    """What was judged.

    Attributes
    ----------
    model_id : None: a configuration, with no model in service
    state, reason : as in ``models``; "judged" for a judgement without a training
    parameters : of the fit, by name
    evaluation : as ``training.learning`` returns it
    """

    model_id: str | None
    state: str
    reason: str | None
    snapshot_id: str
    parameters: Mapping[str, Any]
    evaluation: Mapping[str, Any]
    created_ms: int


@dataclass(frozen=True, slots=True)
class SegmentFigure:
    """One segment: its facts and its figure."""

    facts: Mapping[str, Any]
    figure: Markup


def render(subject: Subject) -> str:
    """Return the page. The same subject gives the same page."""
    environment = Environment(
        loader=PackageLoader("training"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    environment.filters |= {"figure": _figure, "moment": _moment, "count": _count}
    against = subject.evaluation["against"]
    page = environment.get_template("evaluation.html").render(
        subject=subject,
        evaluation=subject.evaluation,
        against=against,
        titles=TITLES,
        metrics=METRIC_TITLES,
        split=SPLITS[subject.evaluation["split"]["kind"]],
        metric_figures={
            title: intervals(name.replace("_", "-"), f"{title} of each contestant", _rows(against, name))
            for name, title in METRIC_TITLES.items()
        },
        difference_figure=_differences(against),
        segment_figures=[_segment(number, part) for number, part in enumerate(_segments(subject))],
        exposure_figure=_exposure(subject.evaluation["exposure"]),
    )
    return page.translate(_CONTROLS) + "\n"


def check_writable(path: Path) -> None:
    """Raise ``InvalidInput`` now where ``write_page`` would after the work."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            raise IsADirectoryError(f"{path} is a folder")
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise InvalidInput(f"{path} cannot be written: {error}") from error


def write_page(path: Path, page: str) -> None:
    """Write the page; a reader of ``path`` sees the old one or the new one.

    Raises
    ------
    InvalidInput
        The file cannot be written.
    """
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            unfinished.write_text(page, encoding="utf-8")
            unfinished.replace(path)
        finally:
            unfinished.unlink(missing_ok=True)
    except OSError as error:
        raise InvalidInput(f"the report cannot be written to {path}: {error.strerror}") from error


def _segments(subject: Subject) -> list[Mapping[str, Any]]:
    return list(subject.evaluation["segments"])


def _series(name: str) -> int:
    """Return the number of a contestant's colour: the same in every figure."""
    return list(TITLES).index(name)


def _rows(figures: Mapping[str, Any], metric: str) -> list[Row]:
    return [
        Row(TITLES[name], one[metric]["value"], one[metric]["low"], one[metric]["high"], _series(name))
        for name, one in figures.items()
    ]


def _differences(against: Mapping[str, Any]) -> Markup:
    others = {name: one["difference"] for name, one in against.items() if "difference" in one}
    rows = _rows(others, "ndcg_at_10")
    return intervals("difference", "NDCG@10 of the model less that of each other", rows, zero=True)


def _segment(number: int, part: Mapping[str, Any]) -> SegmentFigure:
    rows = _rows(part["figures"], "ndcg_at_10")
    return SegmentFigure(part, intervals(f"segment-{number}", f"NDCG@10, {part['name']}", rows))


def _exposure(exposure: Mapping[str, Any]) -> Markup:
    lines = [(TITLES[name], _series(name), values) for name, values in exposure.items()]
    return curves("exposure", "Share of list places by share of artists", lines)


def _figure(value: float) -> str:
    return f"{value:.4f}"


def _count(value: int) -> str:
    return f"{value:,}"


def _moment(time_ms: int) -> str:
    return datetime.fromtimestamp(time_ms // 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")
