"""Where a training stands: ``jobs`` in MongoDB, and a line per step on the terminal."""

import os
import time
from collections.abc import Mapping
from typing import Any

from rich.console import Console

from connections.documents import Database, answered, open_documents
from schemas.documents import JOBS
from schemas.errors import DocumentsUnavailable
from schemas.settings import Settings
from training.estimate import Estimate

KIND, LISTS = "training", "lists"
"""Kinds of jobs."""
_SAID_S = 5.0


class Progress:
    """Progress of one training, or of another long run.

    Parameters
    ----------
    job_id : ``_id`` of the document in ``jobs``
    total : steps
    console : on stderr
    kind : of the job
    estimate : of the time that is left; None: nothing is said of it
    """

    def __init__(
        self,
        database: Database,
        job_id: str,
        total: int,
        console: Console,
        *,
        kind: str = KIND,
        estimate: Estimate | None = None,
    ) -> None:
        self._database = database
        self._job_id = job_id
        self._total = total
        self._console = console
        self._kind = kind
        self._estimate = estimate
        self._began = self._step_began = time.monotonic()
        self._said_s = 0.0
        self.done = 0

    async def step(self, message: str) -> None:
        """Begin the next step."""
        self._end_step()
        line = f"[{self.done + 1}/{self._total}] {self._seconds():5.1f} s  {message}{self._left()}"
        self._console.print(line, markup=False, highlight=False)
        await self._write("running", message, "")
        self.done = min(self.done + 1, self._total)

    async def at(self, done: int, step: str) -> None:
        """Note how much of ``total`` is done; the terminal hears of it every five seconds."""
        self.done = done
        if self._seconds() - self._said_s >= _SAID_S:
            self._said_s = self._seconds()
            line = f"[{done}/{self._total}] {self._said_s:5.1f} s  {step}"
            self._console.print(line, markup=False, highlight=False)
        await self._write("running", step, "")

    async def end(self, state: str, message: str) -> None:
        """Close the job as ``done``, ``refused`` or ``failed``."""
        self._end_step()
        await self._write(state, state, message)

    async def _write(self, state: str, step: str, message: str) -> None:
        fields = {
            "kind": self._kind,
            "state": state,
            "step": step,
            "done": self._total if state == "done" else self.done,
            "total": self._total,
            "message": message,
            "pid": os.getpid(),
            "updated_ms": time.time_ns() // 1_000_000,
        }
        if self._estimate is not None:
            fields |= self._estimate.as_dict(time.monotonic() - self._step_began)
        update = self._database[JOBS.name].update_one({"_id": self._job_id}, {"$set": fields}, upsert=True)
        await answered(update, "writing the progress of a training")

    def _seconds(self) -> float:
        return time.monotonic() - self._began

    def _end_step(self) -> None:
        now = time.monotonic()
        if self._estimate is not None and self.done > 0:
            self._estimate.step_s.append(now - self._step_began)
        self._step_began = now

    def _left(self) -> str:
        left_s = None if self._estimate is None else self._estimate.left_s(0.0)
        return "" if left_s is None else f" (about {left_s:.0f} s left)"


async def close_jobs(database: Database, which: Mapping[str, Any], reason: str) -> None:
    """Close jobs that are written down as running though their process has ended.

    Parameters
    ----------
    which : a condition on jobs; what needs a lease may only be closed by who holds it

    Raises
    ------
    DocumentsUnavailable
        MongoDB did not answer.
    """
    running = {**which, "state": "running"}
    closed = {"state": "failed", "message": reason, "updated_ms": time.time_ns() // 1_000_000}
    await answered(database[JOBS.name].update_many(running, {"$set": closed}), "closing jobs")


async def note_ended(settings: Settings, pid: int, reason: str, kind: str | None = None) -> None:
    """Leave in its job why a child was ended from outside; without MongoDB the next one closes it.

    Parameters
    ----------
    kind : of its jobs; None: any
    """
    which: dict[str, Any] = {"pid": pid} | ({} if kind is None else {"kind": kind})
    async with open_documents(settings) as database:
        try:
            await close_jobs(database, which, reason)
        except DocumentsUnavailable:
            pass
