"""`python -m etl data get small` as a process of its own, on an archive that a test has made."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from etl.archives import Archive
from tests.conftest import ROOT


def _call(
    folder: Path, archive: Archive, url: str, *options: str, name: str = "small"
) -> tuple[list[str], dict]:
    given = folder / "archive.json"
    fields = ("sha1", "size", "size_is_exact", "unpacked")
    given.write_text(json.dumps({field: getattr(archive, field) for field in fields}))
    arguments = [sys.executable, "-m", "tests.etl.fma_driver", str(given), "data", "get", name, *options]
    clean = {key: value for key, value in os.environ.items() if not key.startswith("SEGUE_")}
    world = {"SEGUE_DATA_DIR": str(folder / "data"), "SEGUE_FMA_URL": url, "SEGUE_MONGODB_PORT": "9"}
    return arguments, {"env": clean | world, "cwd": ROOT, "text": True}


def command(
    folder: Path, archive: Archive, url: str, *options: str, archive_name: str = "small"
) -> subprocess.CompletedProcess[str]:
    """Run the command to its end."""
    arguments, how = _call(folder, archive, url, *options, name=archive_name)
    return subprocess.run(arguments, capture_output=True, timeout=100, check=False, **how)


@contextmanager
def started(folder: Path, archive: Archive, url: str, *options: str) -> Iterator[subprocess.Popen[str]]:
    """Run the command while the block runs; it is killed at the end if it still lives."""
    arguments, how = _call(folder, archive, url, *options)
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **how) as process:
        try:
            yield process
        finally:
            process.kill()
