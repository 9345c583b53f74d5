"""Progress of a long command with rate and time left: a bar on a terminal, elsewhere a line now and then."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from etl.sizes import size_text

_EVERY_S = 5.0


class Meter:
    """Counts steps, or bytes, of one task and shows them on stderr."""

    def __init__(self, what: str, total: int | None, bar: Progress | None, in_bytes: bool = False) -> None:
        self.what = what
        self.total = total
        self.done = 0
        self._counted = 0
        self._in_bytes = in_bytes
        self._started = self._said = time.monotonic()
        self._bar = bar
        self._task = bar.add_task(what, total=total) if bar is not None else None

    def advance(self, steps: int = 1) -> None:
        """Count ``steps`` more."""
        self._counted += steps
        self.stand_at(self.done + steps)

    def stand_at(self, done: int, total: int | None = None) -> None:
        """Say where the task is; what was done before, or is undone, does not count in the rate."""
        self.done = done
        self.total = self.total if total is None else total
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=self.done, total=self.total)
        elif time.monotonic() - self._said >= _EVERY_S:
            self._said = time.monotonic()
            print(self.line(self._said - self._started), file=sys.stderr, flush=True)

    def line(self, seconds: float) -> str:
        """Return the state after so many seconds as one line."""
        rate = self._counted / seconds
        done, speed = (
            (size_text(self.done), size_text(rate)) if self._in_bytes else (f"{self.done:,}", f"{rate:,.0f}")
        )
        if self.total is None:
            return f"{self.what}: {done} ({speed}/s)"
        of = size_text(self.total) if self._in_bytes else f"{self.total:,}"
        left = f", {_duration((self.total - self.done) / rate)} left" if rate > 0 else ""
        return f"{self.what}: {done} of {of} ({speed}/s{left})"


@contextmanager
def meter(what: str, total: int | None, *, in_bytes: bool = False) -> Iterator[Meter]:
    """Show the progress of ``total`` steps or bytes (None: not known) while the block runs."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield Meter(what, total, None, in_bytes)
        return
    counts: tuple[ProgressColumn, ...] = (
        (DownloadColumn(binary_units=True), TransferSpeedColumn()) if in_bytes else (MofNCompleteColumn(),)
    )
    columns = (TextColumn("{task.description}"), BarColumn(), *counts, TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        yield Meter(what, total, bar, in_bytes)


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{max(seconds, 0):.0f} s"
    minutes = seconds / 60
    return f"{minutes:.0f} min" if minutes < 90 else f"{minutes / 60:.1f} h"
