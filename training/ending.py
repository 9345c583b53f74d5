"""How a command ends: its result, or one clear sentence on stderr and an exit code."""

import asyncio
import sys
import traceback
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TextIO, TypeVar

import typer

from schemas.errors import InvalidModel, SegueError

T = TypeVar("T")


def finish(
    work: Coroutine[Any, Any, T],
    *,
    refused: int = 1,
    failed: int = 1,
    to: TextIO | Any = sys.stderr,
    log: Path | None = None,
) -> T:
    """Run to the end; a refusal or failure is said in one sentence, a defect's trace goes to stderr besides.

    Parameters
    ----------
    refused : exit code where the data do not bear a model: trying again would end alike
    failed : exit code of all else
    log : where standard error goes, if not to the user
    """
    try:
        return asyncio.run(work)
    except SegueError as error:
        say(str(error), to)
        raise typer.Exit(refused if isinstance(error, InvalidModel) else failed) from error
    except Exception as error:
        traceback.print_exc()  # a child's standard error is the log
        say(f"unexpected {type(error).__name__}: {error}" + (f"; see {log}" if log else ""), to)
        raise typer.Exit(failed) from error


def say(message: str, to: TextIO | Any) -> None:
    """Print one sentence of the command."""
    print(f"segue: {message}", file=to, flush=True)
