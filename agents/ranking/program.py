"""The ranking processes of a worker, running."""

import os
import socket
import subprocess
import sys
import time
from types import TracebackType
from typing import Self

_STOP_S = 5.0


class RankingProgram:
    """One running process; at the end it is to be closed, and waited for."""

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

    def close(self) -> None:
        """Close the connection, at which the process ends."""
        self.connection.close()

    def wait(self, seconds: float) -> None:
        """Return when the process has ended; after some seconds it is killed."""
        try:
            self.process.wait(seconds)
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
        """Close all of them, and wait for their end."""
        for program in self.each:
            program.close()
        until = time.monotonic() + _STOP_S
        for program in self.each:
            program.wait(max(0.0, until - time.monotonic()))
