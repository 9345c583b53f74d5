"""How a command ends: its result, or one clear sentence on stderr and an exit code."""

import asyncio
import sys
from collections.abc import Coroutine
from typing import Any, TextIO, TypeVar

import typer

from schemas.errors import MissingRequirement, SegueError, Unavailable

T = TypeVar("T")


def finish(work: Coroutine[Any, Any, T], *, failed: int = 1, to: TextIO | Any = sys.stderr) -> T:
    """Run to the end; a refusal or failure is said in one sentence and exits with 1, or ``failed``.

    Parameters
    ----------
    failed : exit code where trying again may help
    """
    try:
        return asyncio.run(work)
    except SegueError as error:
        say(str(error), to)
        again = isinstance(error, Unavailable | MissingRequirement)
        raise typer.Exit(failed if again else 1) from error


def say(message: str, to: TextIO | Any) -> None:
    """Print one sentence of the command."""
    print(f"segue: {message}", file=to, flush=True)
