"""Fixtures of the fault rows: how often a row is played, and where its rounds are counted."""

from collections.abc import Iterator

import pytest

from tests.conftest import Embedded
from tests.faults.ledger import FILE, LONG, ROUNDS, Ledger
from tests.faults.scene import World, world_in

_LEDGER = pytest.StashKey[Ledger]()


@pytest.fixture
def ledger(request: pytest.FixtureRequest) -> Iterator[Ledger]:
    """Yield what counts the rounds of this run; in the long form also those of the runs before it."""
    one = request.config.stash.setdefault(_LEDGER, Ledger(FILE if LONG else None))
    yield one
    one.close()


@pytest.fixture(params=range(ROUNDS))
def fault_round(request: pytest.FixtureRequest) -> int:
    """Return the number of this round; each row that asks for it is played ``SEGUE_FAULT_ROUNDS`` times."""
    return int(request.param)


@pytest.fixture(scope="module")
def world(embedded: Embedded, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Yield a world that the rows of one file share, on the session's Kafka and mongod."""
    ports = {"kafka_port": embedded.kafka_port, "mongodb_port": embedded.mongodb_port}
    with world_in(tmp_path_factory.mktemp("world"), **ports) as one:
        yield one


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print the table of all rows."""
    found = config.stash.get(_LEDGER, None)
    if found is not None and found.rounds:
        terminalreporter.section(f"faults, {FILE if LONG else 'one round of each row'}")
        for line in found.table():
            terminalreporter.write_line(line)
