"""What a run finds wrong with its source, counted; and the store of the last fifty such reports."""

import secrets
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from connections.documents import Database, answered
from etl.licences import read_licence
from etl.load import now_ms
from schemas.documents import ETL_REPORTS, EtlReport

KEPT = 50
"""Reports that are kept; older ones go."""
_EXAMPLE = 80  # characters of a faulty cell that are shown
_SHOWN = 20  # licence texts that are listed


@dataclass
class Quality:
    """Counts of one run over a table. Columns are named ``group_field``, as in FMA's raw tables.

    Attributes
    ----------
    rows : rows whose columns were counted
    empty : empty cells by column, before anything is filled
    filled : empty cells by column that a raw table filled
    cells : faulty cells by column and kind; their rows stay
    examples : the first of each kind: whose cell, and its beginning
    texts : texts that were cleaned, by what was cleaned
    licences : rows by text of the licence
    """

    rows: int = 0
    empty: Counter[str] = field(default_factory=Counter)
    filled: Counter[str] = field(default_factory=Counter)
    cells: defaultdict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    examples: defaultdict[str, dict[str, str]] = field(default_factory=lambda: defaultdict(dict))
    texts: Counter[str] = field(default_factory=Counter)
    licences: Counter[str] = field(default_factory=Counter)

    def fault(self, column: str, kind: str, whose: object, cell: str) -> None:
        """Count a cell that cannot be used."""
        self.cells[column][kind] += 1
        if kind not in self.examples[column]:
            self.examples[column][kind] = f"{whose}: {cell[:_EXAMPLE]!r}"

    def count_columns(self, names: Sequence[str], columns: Sequence[Sequence[str]]) -> None:
        """Count rows, given by their columns, and the empty cells of each column."""
        self.rows += len(columns[0])
        for name, column in zip(names, columns, strict=True):
            empty = column.count("")
            if empty:
                self.empty[name] += empty

    def report(self) -> dict[str, Any]:
        """Return the counts as one document: plain values, keys without dots."""
        return {
            "rows": self.rows,
            "faulty_cells": {
                column: dict(kinds.most_common()) for column, kinds in sorted(self.cells.items())
            },
            "examples": {column: dict(found) for column, found in sorted(self.examples.items())},
            "missing_percent": {
                name: round(100 * count / self.rows, 2) for name, count in self.empty.most_common()
            },
            "filled_from_raw": dict(self.filled.most_common()),
            "texts_cleaned": {name: count for name, count in self.texts.most_common() if count},
            "licences": _licences(self.licences),
        }


def _licences(texts: Mapping[str, int]) -> dict[str, Any]:
    deed, no_version, unknown = Counter[str](), Counter[str](), Counter[str]()
    for text, count in texts.items():
        found = read_licence(text)
        (deed if found.url else no_version if found.code else unknown)[text] += count
    return {
        "texts": len(texts),
        "texts_with_deed": len(deed),
        "rows": sum(texts.values()),
        "rows_with_deed": sum(deed.values()),
        "without_version": [{"text": text, "rows": rows} for text, rows in no_version.most_common(_SHOWN)],
        "unknown": [{"text": text, "rows": rows} for text, rows in unknown.most_common(_SHOWN)],
    }


async def store_report(
    database: Database, command: str, source: str, seconds: float, report: Mapping[str, Any]
) -> str:
    """Store the report of a run in `etl_reports`, drop all but the newest fifty, return its id.

    Parameters
    ----------
    command : as typed, for example ``"etl run"``
    source : of the catalogue
    seconds : duration of the run
    report : what JSON can hold; its keys hold no dots
    """
    created_ms = now_ms()
    document = EtlReport(
        _id=f"{created_ms:013d}-{secrets.token_hex(4)}",  # in the order of time
        command=command,
        source=source,
        created_ms=created_ms,
        seconds=seconds,
        report=dict(report),
    )
    reports = database[ETL_REPORTS.name]
    await answered(reports.insert_one(dict(document)), "writing the report")
    old = await answered(
        reports.find({}, {"_id": 1}).sort([("created_ms", -1), ("_id", -1)]).skip(KEPT).to_list(None),
        "reading reports",
    )
    if old:
        await answered(
            reports.delete_many({"_id": {"$in": [each["_id"] for each in old]}}), "removing old reports"
        )
    return document["_id"]
