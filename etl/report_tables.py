"""Any nested document as flat tables: the report shows what a run told, whatever it told."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_ROWS = 100
_DEEPEST = 8
_LONGEST = 300


@dataclass(frozen=True, slots=True)
class Table:
    """One table.

    Attributes
    ----------
    columns : their heads, or empty
    rows : cells are text, numbers, truth values or None
    numeric : of each column, whether it holds numbers alone
    left_out : rows that are not shown
    """

    title: str
    columns: list[str]
    rows: list[list[Any]]
    numeric: list[bool]
    left_out: int


def tables(document: Mapping[str, Any], title: str = "", depth: int = 0) -> Iterator[Table]:
    """Yield the tables of a document: its plain values, then each part below, under its path."""
    plain = {key: value for key, value in document.items() if _is_plain(value)}
    if plain:
        yield _cut(title, [], [[words(key), _shown(value)] for key, value in plain.items()])
    for key, value in document.items():
        if key not in plain:
            yield from _below(f"{title}: {words(key)}" if title else words(key), value, depth + 1)


def _below(title: str, value: Any, depth: int) -> Iterator[Table]:
    if depth > _DEEPEST:
        yield _cut(title, [], [["", _shown(str(value))]])
    elif isinstance(value, Mapping):
        parts = list(value.values())
        if len(parts) > 1 and all(_is_record(part) for part in parts):
            yield _crossed(title, value)
        else:
            yield from tables(value, title, depth)
    elif all(_is_record(part) for part in value):
        columns = list(dict.fromkeys(key for part in value for key in part))
        rows = [[_shown(part.get(column, "")) for column in columns] for part in value]
        yield _cut(title, [words(column) for column in columns], rows)
    else:
        for number, part in enumerate(value, start=1):
            numbered = {str(number): part}
            yield from tables(numbered, title, depth + 1)


def _crossed(title: str, value: Mapping[str, Mapping[str, Any]]) -> Table:
    """Return records by name as a table with a column for each field, or, if most were empty, as a list."""
    columns = list(dict.fromkeys(key for part in value.values() for key in part))
    filled = sum(map(len, value.values()))
    if 2 * filled < len(columns) * len(value):
        return _cut(
            title, [], [[words(k), words(c), _shown(v)] for k, part in value.items() for c, v in part.items()]
        )
    rows = [[words(k), *(_shown(part.get(c, "")) for c in columns)] for k, part in value.items()]
    return _cut(title, ["", *map(words, columns)], rows)


def _cut(title: str, columns: list[str], rows: list[list[Any]]) -> Table:
    shown = rows[:_ROWS]
    numeric = [all(_is_number(cell) for cell in column) for column in zip(*shown, strict=True)]
    return Table(title, columns, shown, numeric, max(0, len(rows) - _ROWS))


def _is_number(cell: Any) -> bool:
    return cell == "" or (isinstance(cell, int | float) and not isinstance(cell, bool))


def _is_record(value: Any) -> bool:
    return isinstance(value, Mapping) and bool(value) and all(_is_plain(each) for each in value.values())


def _is_plain(value: Any) -> bool:
    """Tell whether a value fits into one cell: no mapping and no list of mappings or lists."""
    if isinstance(value, Mapping):
        return not value
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return not any(isinstance(each, Mapping | list) for each in value)
    return True


def _shown(value: Any) -> Any:
    if isinstance(value, bool | int | float) or value is None:
        return value
    if isinstance(value, Mapping):
        return "none"
    if isinstance(value, list | tuple):
        return _shown(", ".join(str(each) for each in value) or "none")
    text = str(value)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def words(key: str) -> str:
    """Return the words of a field's name; what is no such name stays."""
    return key.replace("_", " ") if re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)+", key) else key
