"""OpenBLAS is unpacked once, whole, from the pinned jar alone."""

import hashlib
import zipfile
from pathlib import Path

import pytest

from connections import native_blas as module
from connections.jars import BLAS, Jar, cache_dir, this_machine
from connections.native_blas import native_blas


@pytest.fixture
def jar(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a jar as the real one is, pinned by the lock, in a cache of its own."""
    monkeypatch.setenv("SEGUE_CACHE_DIR", str(tmp_path))
    (tmp_path / "jars").mkdir()
    made = Jar(BLAS, "org", "openblas", "1", "", this_machine())
    path = tmp_path / "jars" / made.file_name
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("libopenblas.so.0", "libgfortran.so.5", "libjniopenblas.so"):
            archive.writestr(f"org/openblas/{name}", name)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    pinned = Jar(BLAS, "org", "openblas", "1", digest, this_machine())
    monkeypatch.setattr(
        module, "read_lock", lambda: [Jar(BLAS, "o", "b", "1", "", "another-machine"), pinned]
    )
    return path


def test_the_library_and_what_it_needs_are_unpacked_beside_the_jar(jar: Path) -> None:
    library = native_blas()

    assert library is not None
    assert library.read_text() == "libopenblas.so.0"
    assert sorted(path.name for path in library.parent.iterdir()) == ["libgfortran.so.5", "libopenblas.so.0"]
    jar.unlink()
    assert native_blas() == library
    assert sorted(path.name for path in cache_dir().joinpath("jars").iterdir()) == [library.parent.name]


def test_a_jar_that_is_not_the_pinned_one_is_not_used(jar: Path) -> None:
    jar.write_bytes(jar.read_bytes() + b" ")
    assert native_blas() is None
    jar.unlink()
    assert native_blas() is None
