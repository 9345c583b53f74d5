"""The browser client's own tests, run by node."""

import shutil
import subprocess
from pathlib import Path

import pytest

FRONTEND = Path(__file__).resolve().parents[2] / "frontend"


def test_the_tests_of_the_browser_client_pass() -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not on PATH: `make setup` brings one")
    tests = sorted(str(path) for path in (FRONTEND / "web" / "tests").glob("*.test.js"))

    done = subprocess.run([node, "--test", *tests], capture_output=True, text=True, timeout=60, check=False)

    assert tests
    assert done.returncode == 0, done.stdout


def test_the_lock_of_the_browser_client_names_no_host_to_download_from() -> None:
    assert '"resolved"' not in (FRONTEND / "package-lock.json").read_text()


def test_nothing_in_the_client_turns_text_into_markup_or_code() -> None:
    sources = "".join(path.read_text() for path in (FRONTEND / "web" / "src").rglob("*.js"))

    for forbidden in (
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "eval(",
        "new Function",
        "document.write",
    ):
        assert forbidden not in sources
