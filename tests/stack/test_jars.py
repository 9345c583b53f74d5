"""The jars are the pinned ones, or none."""

import re
from pathlib import Path

import pytest

from connections.jars import BLAS, KAFKA, LOCK, SPARK, Jar, jar_paths, read_lock, this_machine
from schemas.errors import MissingRequirement
from stack import jars
from stack.jars import ensure_jars


def test_every_jar_of_the_lock_is_pinned_by_version_and_hash() -> None:
    lock = read_lock()
    assert {jar.group for jar in lock} == {KAFKA, SPARK, BLAS}
    assert all(re.fullmatch(r"[0-9a-f]{64}", jar.sha256) for jar in lock)
    names = [jar.file_name for jar in lock]
    assert len(names) == len(set(names))
    assert "://" not in LOCK.read_text(encoding="utf-8")


def test_machine_code_is_fetched_for_this_machine_alone(tmp_path: Path) -> None:
    lock = tmp_path / "jars.lock"
    lock.write_text(f"blas a b 1 {'0' * 64} another-machine\n")

    assert ensure_jars((BLAS,), folder=tmp_path, lock=lock) == []
    mine = [jar for jar in read_lock() if jar.group == BLAS and jar.suits]
    assert [jar.classifier for jar in mine] == [this_machine()]
    assert mine[0].file_name == f"openblas-{mine[0].version}-{this_machine()}.jar"


def test_a_complete_cache_needs_neither_java_nor_network(monkeypatch: pytest.MonkeyPatch) -> None:
    ensure_jars()
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("JAVA_HOME", raising=False)
    assert ensure_jars() == jar_paths(KAFKA)


@pytest.mark.timeout(300)
def test_a_jar_with_another_hash_is_fetched_again(tmp_path: Path) -> None:
    jar = next(jar for jar in read_lock() if jar.name == "log4j-slf4j-impl")
    lock = tmp_path / "jars.lock"
    lock.write_text(f"{jar.group} {jar.organisation} {jar.name} {jar.version} {jar.sha256}\n")
    folder = tmp_path / "jars"
    folder.mkdir()
    (folder / jar.file_name).write_bytes(b"not this one")
    [path] = ensure_jars(folder=folder, lock=lock)
    assert path.stat().st_size > 10_000


def test_what_differs_from_the_lock_is_never_accepted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    jar = read_lock()[0]
    lock = tmp_path / "jars.lock"
    lock.write_text(f"{jar.group} {jar.organisation} {jar.name} {jar.version} {'0' * 64}\n")
    tries = []

    def fetch(missing: list[Jar], folder: Path) -> None:
        tries.append(missing)
        (folder / jar.file_name).write_bytes(b"something else")

    monkeypatch.setattr(jars, "_fetch_all", fetch)
    with pytest.raises(MissingRequirement, match=r"1 jars could not be fetched, or differ"):
        ensure_jars(folder=tmp_path, lock=lock)
    assert len(tries) == 2
