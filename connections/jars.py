"""The pinned jars: which there are, where they lie, and whether a file is the one that is meant.

``stack.jars`` fetches them at set-up; programs that give jars to Spark ask here.
"""

import hashlib
import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from schemas.errors import MissingRequirement

_ROOT = Path(__file__).resolve().parent.parent
LOCK = _ROOT / "stack" / "jars.lock"
KAFKA = "kafka"
SPARK = "spark"
BLAS = "blas"
"""Machine code, a jar for each kind of machine."""


@dataclass(frozen=True, slots=True)
class Jar:
    """One line of the lock: ``sha256`` is hexadecimal; ``classifier`` names a kind of machine, "" all."""

    group: str
    organisation: str
    name: str
    version: str
    sha256: str
    classifier: str = ""

    @property
    def file_name(self) -> str:
        """Name in the cache."""
        return "-".join(filter(None, (self.name, self.version, self.classifier))) + ".jar"

    @property
    def suits(self) -> bool:
        """Whether this machine can use it."""
        return self.classifier in ("", this_machine())


def this_machine() -> str:
    """Return the classifier of jars with machine code for this machine."""
    processor = {"amd64": "x86_64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    return f"{platform.system().lower()}-{processor}"


def cache_dir() -> Path:
    """Return where downloads are kept: ``SEGUE_CACHE_DIR``, else ``.cache/segue`` beside the sources."""
    chosen = os.environ.get("SEGUE_CACHE_DIR")
    return Path(chosen) if chosen else _ROOT / ".cache" / "segue"


def read_lock(path: Path = LOCK) -> list[Jar]:
    """Return the jars of a lock file, in its order."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return [Jar(*line.split()) for line in lines if line and not line.startswith("#")]


def jar_paths(group: str, folder: Path | None = None) -> list[Path]:
    """Return the files of ``group`` in lock order. They are there after set-up."""
    folder = folder or cache_dir() / "jars"
    return [folder / jar.file_name for jar in read_lock() if jar.group == group]


def is_pinned(path: Path, jar: Jar) -> bool:
    """Say whether a file is there and has the hash of the lock."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == jar.sha256
    except FileNotFoundError:
        return False


def checked_jars(organisations: Sequence[str]) -> list[Path]:
    """Return Spark's jars of these organisations, each compared with the lock.

    Raises
    ------
    MissingRequirement
        One is missing, or is not the pinned one.
    """
    folder = cache_dir() / "jars"
    wanted = [jar for jar in read_lock() if jar.group == SPARK and jar.organisation in organisations]
    for jar in wanted:
        if not is_pinned(folder / jar.file_name, jar):
            raise MissingRequirement(
                f"{folder / jar.file_name} is missing or is not the pinned one: run `make setup`"
            )
    return [folder / jar.file_name for jar in wanted]
