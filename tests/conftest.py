"""Fixtures for the whole suite: real Kafka and mongod, started once, a fresh world for every test."""

import os
import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import structlog

from schemas.settings import Settings
from stack.parts import running_parts
from stack.ports import free_ports

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Embedded:
    """The running parts: ports on 127.0.0.1 and what a child process needs to find them."""

    kafka_port: int
    mongodb_port: int
    environment: dict[str, str] = field(default_factory=dict)


@pytest.fixture(autouse=True)
def _own_logs() -> Iterator[None]:
    """Let no test log to the streams of another, which pytest has closed."""
    yield
    structlog.reset_defaults()


@pytest.fixture(scope="session")
def sample_data() -> Path:
    """Return the folder of real sample data: ``SEGUE_TEST_DATA``, else ``../shared/data``."""
    folder = Path(os.environ.get("SEGUE_TEST_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no sample data in {folder}: set SEGUE_TEST_DATA")
    return folder


@pytest.fixture(scope="session")
def embedded() -> Iterator[Embedded]:
    """Run a real Kafka and mongod for the session, or use those of ``SEGUE_TEST_*_PORT``."""
    kafka, mongodb = os.environ.get("SEGUE_TEST_KAFKA_PORT"), os.environ.get("SEGUE_TEST_MONGODB_PORT")
    with ExitStack() as stack:
        if kafka and mongodb:
            ports = (int(kafka), int(mongodb))
        else:
            folder = Path(tempfile.mkdtemp(prefix="segue-parts-"))
            stack.callback(shutil.rmtree, folder, ignore_errors=True)
            kafka_port, controller_port, mongodb_port = free_ports(3)
            ports = (kafka_port, mongodb_port)
            stack.enter_context(
                running_parts(
                    Settings(
                        data_dir=folder,
                        kafka_port=ports[0],
                        kafka_controller_port=controller_port,
                        mongodb_port=ports[1],
                    )
                )
            )
        yield Embedded(*ports, {"SEGUE_KAFKA_PORT": str(ports[0]), "SEGUE_MONGODB_PORT": str(ports[1])})


@pytest.fixture(scope="session")
def unused_port() -> Callable[[], int]:
    """Return a function that returns a port of 127.0.0.1 that nobody listens on."""
    return lambda: free_ports(1)[0]


@pytest.fixture
def settings(embedded: Embedded, tmp_path: Path) -> Settings:
    """Return settings of a fresh world: its own topics, database and data folder."""
    return fresh_world(embedded, tmp_path / "data")


def fresh_world(embedded: Embedded, folder: Path) -> Settings:
    """Return settings of a world with topics, a database and a data folder of its own."""
    name = uuid.uuid4().hex[:12]
    return Settings(
        data_dir=folder,
        kafka_port=embedded.kafka_port,
        mongodb_port=embedded.mongodb_port,
        topic_prefix=f"{name}-",
        mongodb_database=f"test-{name}",
    )
