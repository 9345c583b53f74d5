"""How a worker starts: the time of each step, and the spare that takes the place of one that has died."""

import os
import sys
import time
from typing import TYPE_CHECKING

from schemas import places
from schemas.settings import Settings

if TYPE_CHECKING:
    from agents.ranking.program import RankingPrograms

STEPS = ("told", "loaded", "log found", "connected", "assigned", "catalogue", "restored", "model", "list")
"""In about this order. *told*: it began, or a spare was told whose place to take; *restored*: every
partition that it was given first; *list*: the first one that Kafka has acknowledged."""


class StartTimes:
    """When each step was done for the first time, seconds since 1970."""

    def __init__(self) -> None:
        self.at: dict[str, float] = {}

    def note(self, step: str, at: float | None = None) -> None:
        """Note that a step is done."""
        assert step in STEPS, step
        self.at.setdefault(step, time.time() if at is None else at)


def wait_for_place() -> "RankingPrograms | None":
    """Load all that a worker needs, then wait for the place that is to be taken; None when none will come.

    Two of the 2.2 s from the death of a worker to the next list are imports: a spare has them behind it,
    and so have the processes that will rank for it, which are returned.
    """
    import agents.inspection
    import agents.opening  # noqa: F401
    from agents.ranking.program import RankingPrograms

    ranking = RankingPrograms(Settings().ranking_processes)
    line = sys.stdin.buffer.readline()
    if not line:
        with ranking:
            return None
    place = places.decode(line)
    os.environ.update(place.environment)
    log = os.open(place.log_file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
        os.dup2(log, stream.fileno())
    os.close(log)
    return ranking


def process_start_s() -> float:
    """Return when this process was started, seconds since 1970."""
    import psutil

    return psutil.Process().create_time()
