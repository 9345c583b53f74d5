"""OpenBLAS for Spark: machine code for the arithmetic of ALS, unpacked from its pinned jar."""

import contextlib
import os
import shutil
import tempfile
import zipfile
from pathlib import Path

from connections.jars import BLAS, cache_dir, is_pinned, read_lock

_LIBRARY = "libopenblas.so.0"
_BESIDE = ("libgfortran.so.5", "libquadmath.so.0")


def native_blas() -> Path | None:
    """Return the library, unpacked once beside its jar; None where there is none for this machine.

    Spark goes on without it, more slowly, so a jar that is missing is no error.
    """
    for jar in read_lock():
        if jar.group == BLAS and jar.suits:
            path = cache_dir() / "jars" / jar.file_name
            folder = path.with_suffix("")
            if not folder.is_dir() and is_pinned(path, jar):
                # another program was quicker, or the folder is not ours to write to
                with contextlib.suppress(OSError):
                    _unpack(path, folder)
            if (folder / _LIBRARY).is_file():
                return folder / _LIBRARY
    return None


def _unpack(jar: Path, folder: Path) -> None:
    """Unpack what is needed; the folder appears complete or not at all."""
    with (
        tempfile.TemporaryDirectory(prefix="unpack-", dir=folder.parent) as name,
        zipfile.ZipFile(jar) as archive,
    ):
        new = Path(name) / "new"
        new.mkdir()
        for member in archive.namelist():
            file = member.rpartition("/")[2]
            if file in (_LIBRARY, *_BESIDE):
                with archive.open(member) as source, (new / file).open("wb") as target:
                    shutil.copyfileobj(source, target)
        os.rename(new, folder)
