"""The supervisor, on real processes: start, restart with back-off, stop in order, death of the parent."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import psutil
import pytest

import stack.supervisor as supervisor_module
from schemas.errors import MissingRequirement
from schemas.settings import Settings
from stack.child import Child, Program, tail
from stack.services import _spare_worker
from stack.spare import Spare
from stack.supervisor import Service, Supervisor

STEADY = "import time; time.sleep(600)"
DEAF = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); open('deaf', 'w'); time.sleep(600)"
)


def service(folder: Path, name: str, code: str, *, order: int = 0, stop_within_s: float = 5.0) -> Service:
    async def ready() -> bool:
        return True

    program = Program(name, (sys.executable, "-c", code), folder / f"{name}.log", stop_within_s=stop_within_s)
    return Service(name, lambda: program, ready, order)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.02)


async def test_a_killed_child_is_started_again_after_growing_waits(tmp_path: Path) -> None:
    states: list[str] = []
    supervisor = Supervisor(lambda services: states.append(services[0].state))
    watched = service(tmp_path, "steady", STEADY)
    supervisor.start(watched)
    await supervisor.ready(watched)
    try:
        for restarts in (1, 2):
            assert watched.child is not None
            os.kill(watched.child.pid, signal.SIGKILL)
            await until(lambda n=restarts: watched.restarts == n and watched.state == "ready")  # type: ignore[misc]
        assert watched.last_exit == -signal.SIGKILL
        assert watched.wait_s == 1.0  # at once, then half a second, next one
        assert states == ["starting", "ready", "waiting", "starting", "ready", "waiting", "starting", "ready"]
    finally:
        await supervisor.stop()
    assert watched.state == "stopped"
    assert watched.describe()["pid"] == 0


async def test_services_stop_in_reverse_order_and_the_deaf_are_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    stopped: list[str] = []

    def changed(services: Sequence[Service]) -> None:
        stopped.extend(s.name for s in services if s.state == "stopped" and s.name not in stopped)

    supervisor = Supervisor(changed)
    services = [
        service(tmp_path, "part", STEADY, order=0),
        service(tmp_path, "worker", DEAF, order=2, stop_within_s=0.3),
        service(tmp_path, "web", STEADY, order=3),
    ]
    for each in services:
        supervisor.start(each)
        await supervisor.ready(each)
    await until((tmp_path / "deaf").exists)
    await supervisor.stop()
    assert stopped == ["web", "worker", "part"]
    assert [each.last_exit for each in services] == [-signal.SIGTERM, -signal.SIGKILL, -signal.SIGTERM]


async def test_a_child_that_ends_at_once_fails_the_start_with_its_last_words(tmp_path: Path) -> None:
    supervisor = Supervisor(lambda services: None)

    async def never() -> bool:
        return False

    broken = service(tmp_path, "broken", "raise SystemExit('no such thing')")
    broken.is_ready = never
    supervisor.start(broken)
    with pytest.raises(MissingRequirement, match=r"broken ended with code 1[\s\S]*no such thing"):
        await supervisor.ready(broken)
    await supervisor.stop()


async def test_the_supervisor_returns_when_it_is_told_to(tmp_path: Path) -> None:
    supervisor = Supervisor(lambda services: None)
    watched = service(tmp_path, "steady", STEADY)
    supervisor.start(watched)
    await supervisor.ready(watched)
    told = asyncio.Event()
    running = asyncio.create_task(supervisor.run(told))
    await asyncio.sleep(0)
    told.set()
    await running
    await supervisor.stop()


def test_children_end_when_their_parent_is_killed(tmp_path: Path) -> None:
    parent = (
        "import sys, time; from pathlib import Path; from stack.child import Child, Program; "
        f"c = Child(Program('c', (sys.executable, '-c', {STEADY!r}), Path({str(tmp_path / 'c.log')!r}))); "
        "print(c.pid, flush=True); time.sleep(600)"
    )
    with subprocess.Popen([sys.executable, "-c", parent], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        child = psutil.Process(int(process.stdout.readline()))
        process.kill()
        process.wait()
        _, alive = psutil.wait_procs([child], timeout=10)
    assert alive == []


def test_what_a_child_leaves_behind_in_its_group_is_ended_too(tmp_path: Path) -> None:
    code = (
        "import subprocess, sys, time; "
        f"p = subprocess.Popen([sys.executable, '-c', {STEADY!r}]); print(p.pid, flush=True); time.sleep(600)"
    )
    child = Child(Program("family", (sys.executable, "-c", code), tmp_path / "family.log"))
    while not child.last_lines():
        time.sleep(0.02)
    grandchild = psutil.Process(int(child.last_lines()))
    child.stop()
    _, alive = psutil.wait_procs([grandchild], timeout=10)
    assert alive == [] or alive[0].status() == psutil.STATUS_ZOMBIE


SPARE = (
    "import json, os, sys, time; place = json.loads(sys.stdin.readline() or sys.exit(0)); "
    "open(place['log_file'], 'a').write(f'{os.getpid()} {place[\"environment\"]}\\n'); time.sleep(600)"
)


async def test_a_spare_takes_the_place_of_the_service_that_dies_and_another_one_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor_module, "_SPARE_AFTER_S", 0.1)
    waiting: list[int] = []

    def prepare() -> Program:
        return Program("spare", (sys.executable, "-c", SPARE), tmp_path / "spare.log", waits=True)

    class Noted(Spare):
        def keep(self) -> None:
            super().keep()
            assert self._child is not None
            waiting.append(self._child.pid)

    spare = Noted(prepare)
    services = [service(tmp_path, name, STEADY) for name in ("one", "two")]
    supervisor = Supervisor(lambda services: None)
    for each in services:
        each.spare = spare
        slot = Program(
            each.name,
            each.prepare().command,
            tmp_path / f"{each.name}.log",
            environment={"SLOT": each.name},
        )
        each.prepare = lambda slot=slot: slot  # type: ignore[misc]
        supervisor.start(each)
        await supervisor.ready(each)
    try:
        await until(lambda: len(waiting) == 2)
        assert len(set(waiting)) == 1, "two services share one spare"
        for number, each in enumerate(services, 1):
            assert each.child is not None
            os.kill(each.child.pid, signal.SIGKILL)
            await until(lambda n=number: len(set(waiting)) == n + 1)  # type: ignore[misc]
            assert each.child.pid == waiting[-2], "the one that waited"
            assert each.child.last_lines() == f"{each.child.pid} {{'SLOT': '{each.name}'}}"
            assert (each.restarts, each.state) == (1, "ready")
        os.kill(waiting[-1], signal.SIGKILL)
        await asyncio.sleep(0.2)
        os.kill(services[0].child.pid, signal.SIGKILL)  # type: ignore[union-attr]
        await until(lambda: services[0].restarts == 2)
        assert services[0].child.pid not in waiting, "a spare that has died is not taken"  # type: ignore[union-attr]
        await until(lambda: len(set(waiting)) == 4)
    finally:
        await supervisor.stop()
    assert not any(psutil.pid_exists(pid) for pid in set(waiting))


async def test_a_spare_worker_becomes_the_worker_whose_place_it_is_told_to_take(
    tmp_path: Path, unused_port: Callable[[], int]
) -> None:
    """It says so in the log of that worker, and ends as one does whose Kafka is away."""
    settings = Settings(data_dir=tmp_path)
    child = Child(_spare_worker(settings))
    assert not child.last_lines()
    nowhere = {"SEGUE_KAFKA_BOOTSTRAP_SERVERS": f"127.0.0.1:{unused_port()}"}
    log = tmp_path / "worker-3.log"
    assert child.take_place(Program("worker-3", (), log, environment=nowhere))
    async with asyncio.timeout(30):
        assert await child.ended() == 1
    assert nowhere["SEGUE_KAFKA_BOOTSTRAP_SERVERS"] in child.last_lines()
    assert child.program.log_file == log
    assert tail(tmp_path / "logs" / "worker-spare.log", 5) == ""


def test_a_spare_ends_with_the_supervisor_that_would_have_told_it(tmp_path: Path) -> None:
    child = Child(_spare_worker(Settings(data_dir=tmp_path)))
    assert child._process.stdin is not None
    child._process.stdin.close()
    assert child._process.wait(timeout=30) == 0
