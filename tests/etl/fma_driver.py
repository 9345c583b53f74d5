"""``python -m tests.etl.fma_driver ARCHIVE.json data get small ...``: the command line on a test's archive.

The registry names FMA's archives alone, and nothing in the environment changes that; so a test that wants the
command in a process of its own puts its own archive into the registry of that process.
"""

import json
import sys
from dataclasses import replace
from pathlib import Path

from etl import archives, cli

if __name__ == "__main__":
    given = json.loads(Path(sys.argv.pop(1)).read_text())
    archives.ARCHIVES = {"small": replace(archives.ARCHIVES["small"], **given)}
    cli.main()
