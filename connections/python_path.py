"""How processes that Segue starts find its packages."""

import os
from pathlib import Path

_ROOT = Path(__file__).resolve().parent.parent


def python_path() -> str:
    """Return a PYTHONPATH by which child processes find Segue's packages, wherever they start."""
    given = os.environ.get("PYTHONPATH")
    return os.pathsep.join([str(_ROOT), *([given] if given else [])])
