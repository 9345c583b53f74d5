"""A process that has loaded its modules and waits: it takes the place of the next one that dies."""

from collections.abc import Callable

import structlog

from stack.child import Child, Program


class Spare:
    """One waiting process for services that run the same program.

    Parameters
    ----------
    prepare : returns the program that waits (``Program.waits``)
    """

    def __init__(self, prepare: Callable[[], Program]) -> None:
        self._prepare = prepare
        self._child: Child | None = None
        self._log = structlog.get_logger()

    def keep(self) -> None:
        """Start it, unless it waits already; without it a death costs what the start of a process costs."""
        if self._child is not None and self._child.exit_code() is None:
            return
        self.stop()
        try:
            self._child = Child(self._prepare())
        except OSError as error:
            self._log.warning("no spare", reason=str(error))

    def take(self, program: Program) -> Child | None:
        """Return the spare, which goes on as ``program``; None when none waits."""
        child, self._child = self._child, None
        return child if child is not None and child.take_place(program) else None

    def stop(self) -> None:
        """End it."""
        if self._child is not None:
            self._child.kill()
            self._child = None
