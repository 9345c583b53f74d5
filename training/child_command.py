"""A command that works in a child process: the same command line once more, with its limits."""

import asyncio
import signal
import sys

from rich.console import Console

from schemas.settings import Settings
from training.child import (
    FAILED_EXIT,
    REFUSED_EXIT,
    LimitExceeded,
    become_child,
    memory_limit_bytes,
    run_child,
)
from training.ending import say
from training.progress import note_ended

_TOLD = (0, 1, 2, FAILED_EXIT, REFUSED_EXIT)
"""Exit codes with which a child has said why."""


def run_in_child(settings: Settings, deadline_s: float) -> int:
    """Run the same command line in a child; return what this process exits with."""
    try:
        child = run_child([*sys.argv[1:], "--in-process"], deadline_s, memory_limit_bytes(settings))
        code = asyncio.run(child)
    except LimitExceeded as error:
        say(str(error), sys.stderr)
        asyncio.run(note_ended(settings, error.pid, str(error)))
        return 1
    except KeyboardInterrupt:
        say("interrupted", sys.stderr)
        return 1
    if code < 0:
        ended = f"was ended by {signal.Signals(-code).name}: was memory short?"
        say(f"the process that did the work {ended} See {settings.spark_log}", sys.stderr)
    elif code not in _TOLD:
        say(f"the process that did the work ended with code {code}; see {settings.spark_log}", sys.stderr)
    return code if code in (0, 2) else 1


def begin_in_child(settings: Settings) -> Console:
    """Become the child that does the work; return the console of the command's stderr."""
    from training.session import set_standard_error_aside

    become_child()
    return Console(file=set_standard_error_aside(settings.spark_log))
