"""The direction of imports, and what no module may be called."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
CONTRACT = {"schemas", "recommender", "connections"}
MAY_IMPORT = {
    "schemas": set(),
    "recommender": {"schemas"},
    # a model is read into the recommender's own arrays
    "connections": {"schemas", "recommender"},
    "agents": CONTRACT,
    "etl": CONTRACT,
    "training": CONTRACT,
    "frontend": CONTRACT,
    "stack": {"schemas", "connections"},
}
NO_NAMES = {"utils", "util", "helpers", "helper", "common", "misc"}
PURE = {"recommender", "schemas"}
CLIENTS = {"aiokafka", "motor", "pymongo", "faust", "quart", "pyspark", "aiohttp"}


def modules(package: str) -> list[Path]:
    return [path for path in sorted((ROOT / package).rglob("*.py")) if "node_modules" not in path.parts]


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module.partition(".")[0]


@pytest.mark.parametrize("package", sorted(MAY_IMPORT))
def test_a_package_imports_only_what_lies_below_it(package: str) -> None:
    allowed = MAY_IMPORT[package] | {package}
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in modules(package)
        for name in sorted(set(imported(path)) & set(MAY_IMPORT) - allowed)
    ]
    assert wrong == []


@pytest.mark.parametrize("package", sorted(PURE))
def test_the_pure_packages_import_no_client(package: str) -> None:
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in modules(package)
        for name in sorted(set(imported(path)) & CLIENTS)
    ]
    assert wrong == []


def test_motor_is_imported_by_connections_alone() -> None:
    users = {
        package
        for package in (*MAY_IMPORT, "bench")
        for path in modules(package)
        if "motor" in set(imported(path))
    }
    assert users <= {"connections"}


def test_no_module_has_a_name_that_says_nothing() -> None:
    wrong = [
        str(path.relative_to(ROOT))
        for package in (*MAY_IMPORT, "bench", "tests")
        for path in modules(package)
        if path.stem in NO_NAMES or set(path.relative_to(ROOT).parts) & NO_NAMES
    ]
    assert wrong == []


def test_the_set_up_imports_the_standard_library_alone() -> None:
    import sys

    assert set(imported(ROOT / "stack" / "bootstrap.py")) <= set(sys.stdlib_module_names)
