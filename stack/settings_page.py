"""docs/settings.md, made from the fields of ``Settings``.

``python -m stack.settings_page`` writes the page; ``--check`` only says whether it is up to date.
"""

import sys
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from schemas.settings import Settings

PAGE = Path(__file__).resolve().parent.parent / "docs" / "settings.md"
_HEAD = """\
# Settings

Every program of Segue reads its settings from the environment. This page is made from
`schemas/settings.py` by `make settings-page`. A name that ends in `_s` is in seconds, one in `_ms` in
milliseconds, one in `_bytes` in bytes.

| variable | type | default | meaning |
| --- | --- | --- | --- |
"""
_TAIL = """
Beside these:

- `SEGUE_CACHE_DIR`: set-up and the embedded Kafka keep downloaded jars there; by default `.cache/segue`.
- `SEGUE_TEST_DATA`: the tests look for sample data there; by default `../shared/data`.
- `SEGUE_TEST_KAFKA_PORT`, `SEGUE_TEST_MONGODB_PORT`: the tests use these running parts instead of their own.
"""


def render() -> str:
    """Return the page."""
    prefix = Settings.model_config["env_prefix"]
    rows = [
        f"| `{prefix}{name.upper()}` | {_type(info)} | {_default(info)} | {info.description} |"
        for name, info in Settings.model_fields.items()
    ]
    return _HEAD + "\n".join(rows) + "\n" + _TAIL


def _type(info: FieldInfo) -> str:
    kind: Any = info.annotation
    if get_origin(kind) in (Union, UnionType):
        kind = next(part for part in get_args(kind) if part is not NoneType)
    name = {"str": "text", "int": "integer", "float": "number", "bool": "true or false", "Path": "path"}
    text = name.get(getattr(kind, "__name__", ""), str(kind))
    limits = [_limit(constraint) for constraint in info.metadata]
    return ", ".join([text, *filter(None, limits)])


def _limit(constraint: Any) -> str:
    for attribute, sign in (("ge", "≥"), ("gt", ">"), ("le", "≤"), ("lt", "<")):
        value = getattr(constraint, attribute, None)
        if value is not None:
            return f"{sign} {value}"
    return ""


def _default(info: FieldInfo) -> str:
    if info.default is None:
        return "-"
    if isinstance(info.default, bool):
        return f"`{str(info.default).lower()}`"
    return f"`{info.default}`" if str(info.default) else "empty"


def main() -> int:
    """Write or check the page."""
    text = render()
    if "--check" in sys.argv[1:]:
        same = PAGE.exists() and PAGE.read_text(encoding="utf-8") == text
        print(
            "the page is up to date" if same else "docs/settings.md is out of date: run `make settings-page`"
        )
        return 0 if same else 1
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
