"""A missing or old Java is one sentence with the fix."""

from pathlib import Path

import pytest

from schemas.errors import MissingRequirement
from stack.java import find_java, java_version


def fake_java(folder: Path, version: str) -> Path:
    program = folder / "bin" / "java"
    program.parent.mkdir(parents=True)
    program.write_text(f'#!/bin/sh\necho "openjdk version \\"{version}\\"" >&2\n')
    program.chmod(0o755)
    return program


def test_a_missing_java_is_one_sentence_with_the_fix(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingRequirement, match=r"^Java was not found on PATH: install Java 17") as caught:
        find_java()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("version", ["1.8.0_412", "11.0.22"])
def test_an_old_java_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, version: str) -> None:
    fake_java(tmp_path, version)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    with pytest.raises(MissingRequirement, match=r"is Java (8|11): install Java 17"):
        find_java()


def test_a_java_home_without_java_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    with pytest.raises(MissingRequirement, match="there is no bin/java in it"):
        find_java()


def test_java_home_comes_before_path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program = fake_java(tmp_path, "21.0.4")
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    assert (find_java().command, find_java().version) == (program, 21)


def test_a_program_that_is_not_java_has_no_version() -> None:
    assert java_version("/bin/true") == 0
    assert java_version("/no/such/program") == 0
