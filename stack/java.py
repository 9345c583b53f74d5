"""Which Java runs Kafka and Spark: ``JAVA_HOME``, else ``PATH``."""

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from schemas.errors import MissingRequirement

LEAST_VERSION = 17
FIX = "install Java 17 or later (Debian, Ubuntu: apt-get install openjdk-17-jre-headless) or set JAVA_HOME"


@dataclass(frozen=True, slots=True)
class Java:
    """A Java that can be started.

    Attributes
    ----------
    command : the ``java`` program
    version : feature version, 17 or greater
    """

    command: Path
    version: int


def find_java() -> Java:
    """Return the Java to use: the one of ``JAVA_HOME``, else the first on ``PATH``.

    Raises
    ------
    MissingRequirement
        There is none, or it is older than 17; the message names the fix.
    """
    home = os.environ.get("JAVA_HOME")
    named = Path(home, "bin", "java") if home else None
    if named is not None and not named.is_file():
        raise MissingRequirement(f"JAVA_HOME is {home}, but there is no bin/java in it: {FIX}.")
    found = str(named) if named else shutil.which("java")
    if found is None:
        raise MissingRequirement(f"Java was not found on PATH: {FIX}.")
    version = java_version(found)
    if version < LEAST_VERSION:
        raise MissingRequirement(f"{found} is Java {version or 'of an unknown version'}: {FIX}.")
    return Java(Path(found), version)


def java_version(command: str) -> int:
    """Return the feature version that ``java -version`` prints; 0 when it prints none."""
    try:
        ran = subprocess.run([command, "-version"], capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return 0
    match = re.search(r'version "(?:1\.)?(\d+)', ran.stderr + ran.stdout)
    return int(match.group(1)) if match else 0
