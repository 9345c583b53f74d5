"""Set-up: what it says when something is missing, and that it does nothing twice."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from stack import bootstrap

APT = """#!/bin/sh
echo "$@" >> "{folder}/apt.txt"
case "$*" in *install*) printf '#!/bin/sh\\necho '"'"'openjdk version "17.0.15"'"'"' >&2\\n' > "{folder}/java"
/bin/chmod +x "{folder}/java";; esac
"""


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Leave a machine without Java: PATH holds one empty folder."""
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(bootstrap, "LOG", tmp_path / "log" / "setup.log")
    return tmp_path


def test_without_java_and_without_root_one_sentence_names_the_fix(
    bare: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(bootstrap.SetupFailed) as caught:
        bootstrap.ensure_java()
    assert str(caught.value) == f"no Java was found: {bootstrap.JAVA_FIX}."


def test_as_root_on_debian_java_is_installed_after_saying_so(
    bare: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    apt = bare / "apt-get"
    apt.write_text(APT.format(folder=bare))
    apt.chmod(0o755)
    bootstrap.ensure_java()
    said = capsys.readouterr().out
    assert "no Java was found, and Kafka and Spark need 17: installing openjdk-17-jre-headless" in said
    assert "install -y -q --no-install-recommends openjdk-17-jre-headless" in (bare / "apt.txt").read_text()


def test_an_old_java_home_is_never_overruled_by_apt(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setenv("JAVA_HOME", str(bare / "jdk"))
    with pytest.raises(bootstrap.SetupFailed, match=f"no Java was found in {bare / 'jdk'}: install Java 17"):
        bootstrap.ensure_java()


def test_an_old_python_is_told_what_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 9, 2, "final", 0))
    with pytest.raises(bootstrap.SetupFailed, match=r"This is Python 3\.9\.2: install Python 3\.11 or later"):
        bootstrap.check_python()


def test_a_step_is_done_again_only_when_its_inputs_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bootstrap, "ROOT", tmp_path)
    monkeypatch.setattr(bootstrap, "STAMPS", tmp_path / "stamps.json")
    lock = tmp_path / "requirements.lock"
    lock.write_text("a==1\n")
    runs: list[list[str]] = []
    monkeypatch.setattr(bootstrap, "run", lambda command, *_: runs.append(command))
    bootstrap.install("packages", "requirements.lock")
    bootstrap.install("packages", "requirements.lock")
    assert len(runs) == 1
    assert {"--require-hashes", "--no-build-isolation"} <= set(runs[0])
    lock.write_text("a==2\n")
    bootstrap.install("packages", "requirements.lock")
    assert len(runs) == 2
    assert list(json.loads((tmp_path / "stamps.json").read_text())) == ["requirements.lock"]


def test_a_command_that_fails_shows_its_last_lines_and_the_log(bare: Path) -> None:
    command = [sys.executable, "-c", "print('one'); print('the reason'); raise SystemExit(3)"]
    with pytest.raises(bootstrap.SetupFailed, match=r"failed: do this\.[\s\S]*setup\.log[\s\S]*the reason"):
        bootstrap.run(command, "do this")
    assert "the reason" in (bare / "log" / "setup.log").read_text()


def test_make_help_lists_the_targets() -> None:
    ran = subprocess.run(
        ["make", "-s", "help"], cwd=bootstrap.ROOT, capture_output=True, text=True, check=True
    )
    for target in ("up", "test", "check", "bench", "faults", "lock", "setup", "help"):
        assert f"make {target} " in ran.stdout
