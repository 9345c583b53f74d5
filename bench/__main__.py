"""``python -m bench``: list the benchmarks; ``python -m bench NAME [--json] [...]``: run one.

With ``--json`` the last thing printed is one object with ``name``, ``ratio``, ``low``, ``high``, ``equal``
and ``versions``; a benchmark whose two sides do not agree exits 1, whatever its speed.
"""

import ast
import importlib
import json
import os
import platform
import sys
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from schemas.errors import SegueError

# one small solve is too little for two threads; the same holds on both sides of every comparison
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


def benchmarks() -> dict[str, str]:
    """Return each benchmark's name and first line, without importing it."""
    found = {}
    for path in sorted(Path(__file__).parent.glob("*.py")):
        if not path.name.startswith("_"):
            text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
            found[path.stem.replace("_", "-")] = text.splitlines()[0]
    return found


def main(arguments: list[str]) -> int:
    """Run one benchmark, or list them; return the exit code."""
    as_json = "--json" in arguments
    rest = [one for one in arguments if one != "--json"]
    known = benchmarks()
    if not rest or rest[0] in ("--help", "-h"):
        table = Table("benchmark", "what it measures")
        for name, about in known.items():
            table.add_row(name, about)
        Console().print(table)
        return 0
    name = rest[0]
    if name not in known:
        print(f"bench: no benchmark {name!r}; there are {', '.join(known)}", file=sys.stderr)
        return 2
    try:
        result: dict[str, Any] = importlib.import_module(f"bench.{name.replace('-', '_')}").run(rest[1:])
    except SegueError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    machine = {"cores": os.cpu_count(), "python": platform.python_version(), "machine": platform.machine()}
    result = {"name": name, **result, "machine": machine}
    print(json.dumps(result) if as_json else json.dumps(result, indent=1))
    return 0 if result.get("equal", True) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
