"""Programs of ours as child processes, on the settings of a test."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import psutil

from schemas.settings import Settings
from stack.ports import free_ports

QUICK_JAVA = {"JDK_JAVA_OPTIONS": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"}
"""Environment of a virtual machine that ends before its optimising compiler has paid for itself."""


def environment(settings: Settings) -> dict[str, str]:
    """Return the environment in which a child finds the world of a test."""
    given = {
        f"SEGUE_{name.upper()}": str(value)
        for name, value in settings.model_dump(mode="json", exclude_defaults=True).items()
        if value is not None
    }
    clean = {n: v for n, v in os.environ.items() if not n.startswith("SEGUE_") or n == "SEGUE_LOG_LEVEL"}
    return clean | given


@dataclass
class WorkerProcess:
    """A real worker that can be killed, paused and started again."""

    settings: Settings
    log: Path
    process: subprocess.Popen[bytes] | None = field(default=None)

    @property
    def port(self) -> int:
        """Loopback port on which it is inspected."""
        return self.settings.worker_metrics_port

    def start(self) -> None:
        """Start it; `until_alive` waits."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "agents", "worker"],
                env=environment(self.settings),
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def ranking(self) -> list[psutil.Process]:
        """Return the processes that rank for it."""
        assert self.process is not None
        found = psutil.Process(self.process.pid).children()
        assert len(found) == self.settings.ranking_processes
        return found

    def runs(self) -> bool:
        """Return whether it was started and has not ended."""
        return self.process is not None and self.process.poll() is None

    def kill(self) -> None:
        """SIGKILL it and wait for its end."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        """SIGTERM it and return its exit code."""
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(timeout=20)

    def pause(self) -> None:
        """SIGSTOP it."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """SIGCONT it."""
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    async def metrics(self) -> dict[str, float]:
        """Return its metrics, by name with labels."""
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"http://127.0.0.1:{self.port}/metrics") as response,
        ):
            lines = (await response.text()).splitlines()
        return {where: float(value) for where, value in (x.rsplit(" ", 1) for x in lines if x[0] != "#")}

    async def until_alive(self, timeout_s: float = 60.0) -> None:
        """Return when it answers on its port."""
        until = time.monotonic() + timeout_s
        async with aiohttp.ClientSession() as session:
            while time.monotonic() < until:
                assert self.process is not None
                assert self.process.poll() is None, self.log.read_text()[-3_000:]
                try:
                    async with session.get(f"http://127.0.0.1:{self.port}/livez"):
                        return
                except aiohttp.ClientError:
                    await asyncio.sleep(0.05)
        raise AssertionError(f"the worker did not answer: {self.log.read_text()[-3_000:]}")


@contextmanager
def worker_process(settings: Settings, name: str = "worker-0") -> Iterator[WorkerProcess]:
    """Yield a worker (not started) that is ended afterwards."""
    own = settings.model_copy(update={"worker_id": name, "worker_metrics_port": free_ports(1)[0]})
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    worker = WorkerProcess(own, settings.data_dir / f"{name}.log")
    try:
        yield worker
    finally:
        if worker.process is not None and worker.process.poll() is None:
            worker.go_on()
            worker.kill()
