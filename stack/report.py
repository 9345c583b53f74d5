"""What the terminal shows: a line per step with its seconds, and the status table."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import psutil
from rich.console import Console
from rich.table import Table

from stack.folder import ProcessState, StackState


class Progress:
    """A line for every step that is done; a spinner while it lasts, on a terminal."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._began = time.monotonic()

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Show that ``name`` is under way and, when the block ends without an error, its seconds."""
        began = time.monotonic()
        with self.console.status(name):
            yield
        self.console.print(f"  [green]✓[/] {name:<36}{time.monotonic() - began:6.1f} s", highlight=False)

    def note(self, text: str) -> None:
        """Print one line."""
        self.console.print(f"  {text}", highlight=False, soft_wrap=True)

    @property
    def seconds(self) -> float:
        """Seconds since the beginning."""
        return time.monotonic() - self._began


def status_table(state: StackState) -> Table:
    """Return the table of processes with their memory and age."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("process", "state", "pid", "memory", "up for", "restarts"):
        table.add_column(heading, justify="left" if heading in ("process", "state") else "right")
    for row in rows(state["processes"]):
        colour = {"ready": "green", "starting": "yellow"}.get(row["state"], "red")
        table.add_row(
            row["name"],
            f"[{colour}]{row['state']}[/]",
            str(row["pid"] or ""),
            f"{row['memory_bytes'] / 1024**2:.0f} MiB" if row["memory_bytes"] else "",
            _span(row["up_s"]) if row["pid"] else "",
            str(row["restarts"]),
        )
    return table


class ProcessRow(ProcessState):
    """A process with what is measured now."""

    memory_bytes: int  # of the process and its children, 0 when it does not run
    up_s: float


def rows(processes: Sequence[ProcessState]) -> list[ProcessRow]:
    """Return the processes with their memory and age; one that is gone is `stopped`."""
    found = []
    for process in processes:
        memory, alive = _memory(process)
        row = ProcessRow(**process, memory_bytes=memory, up_s=0.0)
        if alive:
            row["up_s"] = max(0.0, round(time.time() - process["started_s"], 1))
        elif process["pid"]:
            row["pid"], row["state"] = 0, "stopped"
        found.append(row)
    return found


def _memory(process: ProcessState) -> tuple[int, bool]:
    if not process["pid"]:
        return 0, False
    try:
        running = psutil.Process(process["pid"])
        if abs(running.create_time() - process["started_s"]) > 0.5:
            return 0, False
        family = [running, *running.children(recursive=True)]
    except psutil.NoSuchProcess:
        return 0, False
    total = 0
    for member in family:
        try:
            total += member.memory_info().rss
        except psutil.NoSuchProcess:
            continue
    return total, True


def _span(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
