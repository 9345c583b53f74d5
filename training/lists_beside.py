"""Everybody's lists, made in a child process beside the waiting trainer."""

import asyncio
import time

import structlog

from connections.documents import Database
from connections.list_store import lists_due
from schemas.settings import Settings
from training.child import LISTS_GRACE_S, LimitExceeded, memory_limit_bytes, run_child
from training.progress import LISTS, note_ended

_log = structlog.get_logger()
_AFTER_FAILURE_S = (15.0, 600.0)
_MADE_WAY = "it made way for a training, or the trainer ended; the next run goes on"


class ListsBeside:
    """Begins a run when the served model's lists are not all made; ends it when a training has to begin.

    One that was ended, by whatever, is begun again later and goes on where it was.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._running: asyncio.Task[None] | None = None
        self._pid = 0
        self._failures = 0
        self._not_before_s = 0.0

    async def begin(self, database: Database) -> None:
        """Begin a run if one is due and none is under way.

        Raises
        ------
        DocumentsUnavailable
            MongoDB did not answer.
        """
        under_way = self._running is not None and not self._running.done()
        if under_way or not self._settings.lists_for_everybody or time.monotonic() < self._not_before_s:
            return
        if await lists_due(database):
            self._running = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """End the run that is under way."""
        if self._running is None or self._running.done():
            return
        self._running.cancel()
        await asyncio.gather(self._running, return_exceptions=True)
        if self._pid:
            await note_ended(self._settings, self._pid, _MADE_WAY, LISTS)

    def _started(self, pid: int) -> None:
        self._pid = pid

    async def _run(self) -> None:
        _log.info("making lists for everybody")
        self._pid = 0
        try:
            deadline_s = self._settings.lists_budget_s + LISTS_GRACE_S
            code = await run_child(
                ["lists", "build", "--in-process"],
                deadline_s,
                memory_limit_bytes(self._settings),
                started=self._started,
            )
        except LimitExceeded as error:
            await note_ended(self._settings, error.pid, str(error))
            code = -1
        if code == 0:
            self._failures = 0
            _log.info("everybody has a list")
            return
        pause_s = min(_AFTER_FAILURE_S[0] * 2**self._failures, _AFTER_FAILURE_S[1])
        self._failures += 1
        self._not_before_s = time.monotonic() + pause_s
        _log.warning("lists are not all made, the next run goes on", exit_code=code, next_try_s=pause_s)
