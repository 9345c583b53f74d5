"""Progress of a long command: a bar on a terminal, a line every few seconds elsewhere."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

_EVERY_S = 5.0


class Meter:
    """Counts steps of one task and shows them on stderr."""

    def __init__(self, what: str, total: int | None, bar: Progress | None) -> None:
        self.what = what
        self.total = total
        self.done = 0
        self._started = self._said = time.monotonic()
        self._bar = bar
        self._task = bar.add_task(what, total=total) if bar is not None else None

    def advance(self, steps: int = 1) -> None:
        """Count ``steps`` more."""
        self.done += steps
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=self.done)
        elif time.monotonic() - self._said >= _EVERY_S:
            self._said = time.monotonic()
            rate = self.done / (self._said - self._started)
            of = f" of {self.total:,}" if self.total is not None else ""
            print(f"{self.what}: {self.done:,}{of} ({rate:,.0f}/s)", file=sys.stderr, flush=True)


@contextmanager
def meter(what: str, total: int | None) -> Iterator[Meter]:
    """Show the progress of ``total`` steps (None: not known) while the block runs."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield Meter(what, total, None)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        yield Meter(what, total, bar)
