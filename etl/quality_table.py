"""The report of `etl run` on a terminal: the summary, then what was found in the tables."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from etl.command import show

_MOST = 12  # columns with most gaps that are shown


def print_report(report: Any, title: str, as_json: bool) -> None:
    """Print a report, a dataclass with a field ``quality``: one JSON object, or two tables."""
    whole = asdict(report)
    if as_json:
        show(whole, title, as_json)
        return
    quality = whole.pop("quality")
    show(whole, title, as_json)
    table = Table("what", "count", "of what", title="Quality of the tables")
    for what, count, detail in _lines(quality):
        table.add_row(Text(what), Text(count, justify="right"), Text(_visible(detail)))
    Console().print(table)


def _lines(quality: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    for column, kinds in quality["faulty_cells"].items():
        for kind, count in kinds.items():
            example = quality["examples"].get(column, {}).get(kind, "")
            yield "faulty cells", f"{count:,}", f"{column}: {kind}; first: {example}"
    yield from _counts("texts cleaned of", quality["texts_cleaned"])
    yield from _counts("filled from raw tables", quality["filled_from_raw"])
    yield from _licences(quality["licences"])
    genres = quality["genres"]
    yield (
        "genres",
        f"{genres['genres']:,}",
        f"a tree of {genres['depth']} levels below {genres['roots']} roots",
    )
    yield from _counts("genres corrected", genres["notes"])
    yield from _counts("rows that FMA did not find", quality["not_found_but_there"])
    for clip, defect in quality["known_bad_clips"].items():
        yield "known bad clip", clip, defect
    gaps = list(quality["missing_percent"].items())
    for column, percent in gaps[:_MOST]:
        yield "cells missing", f"{percent:g} %", column
    if gaps[_MOST:]:
        yield "cells missing", "less", f"in {len(gaps) - _MOST} other columns"


def _counts(what: str, counts: Mapping[str, int]) -> Iterator[tuple[str, str, str]]:
    for name, count in counts.items():
        yield what, f"{count:,}", name


def _licences(found: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    yield "licences", f"{found['rows_with_deed']:,}", f"of {found['rows']:,} rows: the deed is certain"
    yield (
        "licences",
        f"{found['texts_with_deed']:,}",
        f"of {found['texts']:,} different texts: the deed is certain",
    )
    for kind, about in (("without_version", "no version"), ("unknown", "not Creative Commons")):
        for each in found[kind]:
            yield f"licences: {about}", f"{each['rows']:,}", each["text"]


def _visible(text: str) -> str:
    """Return a text without control sequences for the terminal."""
    return "".join(each if each.isprintable() else "\ufffd" for each in text)
