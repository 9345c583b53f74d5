"""The released jars that the stack runs, pinned in ``jars.lock`` and fetched by the Ivy inside pyspark.

``python -m stack.jars`` fetches what is missing and checks all of them. A complete cache needs no network.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from xml.sax.saxutils import quoteattr

from connections.jars import BLAS, KAFKA, LOCK, SPARK, Jar, cache_dir, is_pinned, read_lock
from connections.native_blas import native_blas
from schemas.errors import MissingRequirement, SegueError
from stack.java import find_java

_FETCHERS = 4  # Ivy spends its time waiting for one small file after another
_FETCH_TIMEOUT_S = 300.0
_FILE_NAME = "[artifact]-[revision](-[classifier]).[ext]"  # as ``Jar.file_name``


def ensure_jars(
    groups: Sequence[str] = (KAFKA,),
    *,
    folder: Path | None = None,
    lock: Path = LOCK,
    say: Callable[[str], None] | None = None,
) -> list[Path]:
    """Return the files of ``groups``, every one with the pinned SHA-256; fetch what is missing.

    A file with another hash is fetched again. Each artifact that fails is tried once more.

    Raises
    ------
    MissingRequirement
        A jar could not be fetched, or what came is not what the lock names.
    """
    folder = folder or cache_dir() / "jars"
    folder.mkdir(parents=True, exist_ok=True)
    wanted = [jar for jar in read_lock(lock) if jar.group in groups and jar.suits]
    missing = _missing(wanted, folder)
    if missing and say is not None:
        say(f"fetching {len(missing)} of {len(wanted)} jars")
    for _ in range(2):
        if missing:
            _fetch_all(missing, folder)
            missing = _missing(missing, folder)
    if missing:
        names = ", ".join(jar.file_name for jar in missing[:5])
        raise MissingRequirement(
            f"{len(missing)} jars could not be fetched, or differ from stack/jars.lock ({names}): "
            "check the network and run the command again."
        )
    return [folder / jar.file_name for jar in wanted]


def _missing(jars: Sequence[Jar], folder: Path) -> list[Jar]:
    return [jar for jar in jars if not is_pinned(folder / jar.file_name, jar)]


def _fetch_all(jars: Sequence[Jar], folder: Path) -> None:
    java, ivy = find_java().command, _ivy()
    # two versions of one module must not meet in one run: Ivy would evict the older
    lots = [
        lot
        for group in sorted({jar.group for jar in jars})
        for start in range(_FETCHERS)
        if (lot := [jar for jar in jars if jar.group == group][start::_FETCHERS])
    ]
    with ThreadPoolExecutor(_FETCHERS) as pool:
        for done in [pool.submit(_fetch, java, ivy, lot, folder) for lot in lots]:
            done.result()


def _fetch(java: Path, ivy: Path, jars: Sequence[Jar], folder: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="ivy-", dir=folder) as name:
        work = Path(name)
        (work / "ivy.xml").write_text(_ivy_file(jars), encoding="utf-8")
        command = [str(java), "-jar", str(ivy), "-cache", str(work / "cache"), "-ivy", str(work / "ivy.xml")]
        command += [
            "-confs",
            "default",
            "-retrieve",
            f"{work}/lib/{_FILE_NAME}",
        ]
        try:
            subprocess.run(command, capture_output=True, timeout=_FETCH_TIMEOUT_S, check=False)
        except subprocess.TimeoutExpired:
            return  # what came is kept; the caller sees what is missing
        for jar in jars:
            came = work / "lib" / jar.file_name
            if is_pinned(came, jar):
                os.replace(came, folder / jar.file_name)


def _ivy_file(jars: Sequence[Jar]) -> str:
    lines = [
        f"<dependency org={quoteattr(jar.organisation)} name={quoteattr(jar.name)} "
        f'rev={quoteattr(jar.version)} transitive="false" conf="default->master">'
        f"{_artifact(jar)}</dependency>"
        for jar in jars
    ]
    return (
        '<ivy-module version="2.0" xmlns:m="http://ant.apache.org/ivy/maven">'
        '<info organisation="segue" module="jars"/>'
        '<configurations><conf name="default"/></configurations>'
        f"<dependencies>{''.join(lines)}</dependencies></ivy-module>"
    )


def _artifact(jar: Jar) -> str:
    if not jar.classifier:
        return ""
    name = quoteattr(jar.name)
    return f'<artifact name={name} type="jar" ext="jar" m:classifier={quoteattr(jar.classifier)}/>'


def _ivy() -> Path:
    spec = find_spec("pyspark")
    if spec is None or spec.origin is None:
        raise MissingRequirement("pyspark is not installed: run `make setup`.")
    found = sorted(Path(spec.origin).parent.glob("jars/ivy-*.jar"))
    if not found:
        raise MissingRequirement("pyspark holds no Ivy: run `make setup` to install the pinned pyspark.")
    return found[-1]


def main() -> int:
    """Fetch and check every jar of the lock; what only makes trainings faster may be missing."""
    try:
        ensure_jars((KAFKA, SPARK), say=print)
    except SegueError as error:
        print(error, file=sys.stderr)
        return 1
    try:
        ensure_jars((BLAS,), say=print)
        native_blas()  # unpacked now, where the cache can be written to
    except SegueError as error:
        print(f"trainings will take longer, without OpenBLAS: {error}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
