"""How far a replay is: a bar on a terminal, a line every few seconds elsewhere. Always on stderr."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

_LINE_S = 5.0


class Meter:
    """Counts what is folded and estimates what is left.

    Parameters
    ----------
    cut : offset of each partition at which its fold ends
    """

    def __init__(self, cut: Mapping[int, int]) -> None:
        self._cut = dict(cut)
        self._positions = dict.fromkeys(cut, 0)
        self._began = time.monotonic()
        self._ready: float | None = None
        self.folded = 0
        self.started: dict[int, int] = {}

    def found(self, partition: int, position: int) -> None:
        """Note from where a partition is folded."""
        if self._ready is None:
            self._ready = time.monotonic()
        self._positions[partition] = position
        self.started[partition] = position

    def expect(self, partition: int, position: int) -> None:
        """Note from where a partition will probably be folded."""
        self._positions[partition] = position

    def moved(self, partition: int, position: int) -> None:
        """Note that a partition is folded below ``position``."""
        self.folded += position - self._positions[partition]
        self._positions[partition] = position

    def left(self) -> dict[int, int]:
        """Return how many records of each partition are still to be folded."""
        return {partition: end - self._positions[partition] for partition, end in self._cut.items()}

    @property
    def total(self) -> int:
        """Records below the cut."""
        return sum(self._cut.values())

    @property
    def done(self) -> int:
        """Records below the positions."""
        return sum(self._positions.values())

    @property
    def seconds(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._began

    @property
    def per_s(self) -> float:
        """Records folded a second since the first process was ready."""
        ready = self._began if self._ready is None else self._ready
        return self.folded / max(time.monotonic() - ready, 1e-9)

    def text(self) -> str:
        """Return rate and time left in words."""
        if not self.folded:
            return "reading"
        left_s = (self.total - self.done) / self.per_s
        return f"{self.per_s:,.0f} records/s, {_span(left_s)} left"


def _span(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


class Display:
    """Shows a meter; ``show`` as often as it moves."""

    def __init__(self, console: Console, meter: Meter) -> None:
        self._console = console
        self.meter = meter
        self._bar: Progress | None = None
        self._task = TaskID(0)
        self._line_due = time.monotonic() + _LINE_S

    @classmethod
    @contextmanager
    def opened(cls, console: Console, meter: Meter) -> Iterator[Self]:
        """Yield a display while the block runs."""
        display = cls(console, meter)
        if not console.is_terminal:
            yield display
            return
        columns = (
            TextColumn("replay"),
            BarColumn(),
            TextColumn("{task.percentage:.0f} %"),
            TextColumn("{task.description}"),
        )
        with Progress(*columns, console=console, transient=True) as bar:
            display._bar, display._task = bar, bar.add_task("reading", total=meter.total)
            yield display

    def show(self) -> None:
        """Show where the meter stands."""
        if self._bar is not None:
            self._bar.update(self._task, completed=self.meter.done, description=self.meter.text())
        elif time.monotonic() >= self._line_due:
            self._line_due = time.monotonic() + _LINE_S
            self._console.print(
                f"replay: {self.meter.done:,} of {self.meter.total:,} records, {self.meter.text()}",
                highlight=False,
            )
