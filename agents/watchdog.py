"""The watchdog: a worker that stands still although it could go on ends itself, and is started anew.

Four things are watched for each partition assigned: the *fold* (the log goes on, the position does not), the
*commit* (the position is beyond what is committed, which stands still, and no list is made anew: after an
activation a commit waits for these), the *restore* (no state, and no record is being folded towards one), and
the *delivery* (it is not known from which offset on records come). An outage of Kafka or MongoDB is no
standstill: what waits for one waits for as long as it lasts. A thread beside the event loop watches the loop
itself.
"""

import asyncio
import faulthandler
import os
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import structlog

from agents.faust_app import rebalance_timeout_s
from connections.event_log import LogReader
from schemas.errors import LogUnavailable, Stalled
from schemas.settings import Settings

_log = structlog.get_logger()
EXIT_STALLED = 75
"""Exit code of a worker that ended itself because it stood still (EX_TEMPFAIL: try again)."""
_LOOKS = 10  # in the time after which a standstill counts
_Mark = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Observation:
    """What a worker has done, at one moment.

    Attributes
    ----------
    ends : end offset of the log, by partition assigned
    positions : position of each partition that has a state
    committed : offset that Kafka knows as done, by partition that is delivered
    restored : records folded by restores since the start
    made_anew : lists made anew since the start
    waiting_for : what is away, None while nothing is
    """

    ends: Mapping[int, int]
    positions: Mapping[int, int]
    committed: Mapping[int, int]
    restored: int
    made_anew: int
    waiting_for: str | None


@dataclass(slots=True)
class Standstill:
    """Remembers since when each thing has not moved.

    Attributes
    ----------
    limit_s : seconds after which a standstill counts
    delivery_limit_s : the same for a delivery: a rebalance may wait so long for another member
    """

    limit_s: float
    delivery_limit_s: float
    _since: dict[tuple[str, int], tuple[_Mark, float]] = field(default_factory=dict)

    def look(self, now_s: float, seen: Observation) -> str | None:
        """Return what has stood still for too long, in one sentence, or None."""
        if seen.waiting_for is not None:
            self._since.clear()
            return None
        behind = {
            key: mark
            for partition, end in seen.ends.items()
            for key, mark in _behind(partition, end, seen).items()
        }
        for key in self._since.keys() - behind.keys():
            del self._since[key]
        for key, mark in behind.items():
            known = self._since.get(key)
            if known is None or known[0] != mark:
                self._since[key] = (mark, now_s)
                continue
            what, partition = key
            limit_s = self.delivery_limit_s if what == "delivery" else self.limit_s
            if now_s - known[1] >= limit_s:
                return (
                    f"partition {partition}: the {what} has stood still at {mark[0]} for {limit_s:g} s, "
                    f"the log ends at {seen.ends[partition]}"
                )
        return None


def _behind(partition: int, end: int, seen: Observation) -> dict[tuple[str, int], _Mark]:
    """Return what should be moving in one partition, each with where it is and what else moves it."""
    if partition not in seen.committed:
        return {("delivery", partition): (0, 0)}
    position = seen.positions.get(partition)
    if position is None:
        return {("restore", partition): (seen.restored, 0)}
    found = {}
    if position < end:
        found["fold", partition] = (position, 0)
    if seen.committed[partition] < position:
        found["commit", partition] = (seen.committed[partition], seen.made_anew)
    return found


class Watchdog:
    """Watches one worker. Run ``run`` beside it.

    Parameters
    ----------
    observe : returns what the worker has done, given the end offsets of the log
    """

    def __init__(self, settings: Settings, observe: Callable[[Mapping[int, int]], Observation]) -> None:
        self._settings = settings
        self._observe = observe
        self._limit_s = settings.watchdog_s
        self._beat = time.monotonic()

    async def run(self) -> None:
        """Look for as long as the worker lives.

        Raises
        ------
        Stalled
            Something has stood still for too long.
        """
        ended = threading.Event()
        threading.Thread(target=self._watch_loop, args=(ended,), name="watchdog", daemon=True).start()
        try:
            await self._watch()
        finally:
            ended.set()  # the process may go on without this worker

    async def _watch(self) -> None:
        limits = self._limit_s, max(self._limit_s, 2 * rebalance_timeout_s(self._settings))
        standstill = Standstill(*limits)
        async with LogReader(self._settings) as reader:
            while True:
                until = time.monotonic() + self._limit_s / _LOOKS
                while time.monotonic() < until:
                    self._beat = time.monotonic()
                    await asyncio.sleep(min(1.0, self._limit_s / _LOOKS))
                try:
                    ends = await reader.end_offsets()
                except LogUnavailable as error:
                    _log.warning("the watchdog waits for Kafka", error=str(error))
                    standstill = Standstill(*limits)
                    continue
                reason = standstill.look(time.monotonic(), self._observe(ends))
                if reason is not None:
                    raise Stalled(reason)

    def _watch_loop(self, ended: threading.Event) -> None:
        """End the process when its event loop does not turn; the stack of every thread goes to stderr."""
        pause_s = min(1.0, self._limit_s / _LOOKS)
        looked = time.monotonic()
        while not ended.wait(pause_s):
            now = time.monotonic()
            if now - looked > 5 * pause_s:
                self._beat = now  # the whole process was paused: the loop has to wake first
            looked = now
            if now - self._beat > self._limit_s:
                print(f"segue: the event loop has not turned for {self._limit_s:g} s", file=sys.stderr)
                faulthandler.dump_traceback(all_threads=True)
                os._exit(EXIT_STALLED)
