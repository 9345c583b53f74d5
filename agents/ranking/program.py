"""The ranking processes of a worker, running."""

import os
import socket
import subprocess
import sys
from contextlib import ExitStack
from types import TracebackType
from typing import Self

_STOP_S = 5.0


class RankingProgram:
    """One running process. Use as a context manager: at the end it is closed."""

    def __init__(self) -> None:
        ours, its = socket.socketpair()
        with its:
            command = [sys.executable, "-m", "agents.ranking.process", str(its.fileno())]
            # one solve is too small for two threads, which would only wait for each other
            environment = {"OPENBLAS_NUM_THREADS": "1"} | os.environ
            self.process = subprocess.Popen(
                command, env=environment, stdin=subprocess.DEVNULL, pass_fds=[its.fileno()]
            )
        self.connection = ours

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connection, at which the process ends, and wait for that."""
        self.connection.close()
        try:
            self.process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class RankingPrograms:
    """All that rank for one worker. Use as a context manager: at the end they are closed.

    A spare starts them long before there is a worker.
    """

    def __init__(self, count: int) -> None:
        self.each = [RankingProgram() for _ in range(count)]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close all of them."""
        with ExitStack() as stack:
            for program in self.each:
                stack.enter_context(program)
