"""Where a training stands: ``jobs`` in MongoDB, and a line per step on the terminal."""

import time
from typing import Any

from rich.console import Console
from rich.table import Table

from connections.documents import Database, answered
from schemas.documents import JOBS

KIND = "training"
_SAID_S = 5.0


class Progress:
    """Progress of one training, or of another long run.

    Parameters
    ----------
    job_id : ``_id`` of the document in ``jobs``
    total : steps
    console : on stderr
    kind : of the job
    """

    def __init__(
        self, database: Database, job_id: str, total: int, console: Console, *, kind: str = KIND
    ) -> None:
        self._database = database
        self._job_id = job_id
        self._total = total
        self._console = console
        self._kind = kind
        self._began = time.monotonic()
        self._said_s = 0.0
        self.done = 0

    async def step(self, message: str) -> None:
        """Begin the next step."""
        line = f"[{self.done + 1}/{self._total}] {self._seconds():5.1f} s  {message}"
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
        await self._write(state, state, message)

    async def _write(self, state: str, step: str, message: str) -> None:
        fields = {
            "kind": self._kind,
            "state": state,
            "step": step,
            "done": self._total if state == "done" else self.done,
            "total": self._total,
            "message": message,
            "updated_ms": time.time_ns() // 1_000_000,
        }
        update = self._database[JOBS.name].update_one({"_id": self._job_id}, {"$set": fields}, upsert=True)
        await answered(update, "writing the progress of a training")

    def _seconds(self) -> float:
        return time.monotonic() - self._began


def evaluation_table(evaluation: dict[str, Any]) -> Table:
    """Return the table that a training prints: model beside popularity."""
    split = evaluation["split"]
    table = Table(
        title=f"{split['users']:,} users judged on {split['tracks']:,} tracks, "
        f"{split['held_out']:,} interactions held out ({split['kind']})",
        title_justify="left",
    )
    table.add_column("")
    table.add_column("model", justify="right")
    table.add_column("popularity", justify="right")
    rows = (("NDCG@10", "ndcg_at_10"), ("Recall@20", "recall_at_20"), ("MAP@10", "map_at_10"))
    sides = (evaluation["model"], evaluation["popularity"])
    for label, name in rows:
        table.add_row(label, *(_with_interval(side[name]) for side in sides))
    table.add_row("coverage", *(f"{side['coverage']:.1%}" for side in sides))
    table.add_row("novelty, bits", *(f"{side['novelty_bits']:.2f}" for side in sides))
    if evaluation.get("rmse") is not None:
        table.add_row("RMSE of the preference", f"{evaluation['rmse']:.3f}", "")
    return table


def _with_interval(figure: dict[str, float]) -> str:
    return f"{figure['value']:.4f} ({figure['low']:.4f}-{figure['high']:.4f})"
