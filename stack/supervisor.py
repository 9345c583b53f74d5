"""Keeps services running: starts them in order, restarts what ends, stops them in reverse order."""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

import structlog

from stack.child import Child, Program, rotate, start_time
from stack.folder import ProcessState
from stack.parts import START_WITHIN_S, wait_until_ready
from stack.spare import Spare

_LOOK_S = 1.0
_FIRST_WAIT_S = 0.5  # before the second restart in a row; the first comes at once
_LONGEST_WAIT_S = 30.0
_STEADY_AFTER_S = 20.0
_ROTATE_EVERY_S = 60.0
_SPARE_AFTER_S = 5.0  # a service is left alone while it starts


@dataclass(slots=True)
class Service:
    """One process that is to run for as long as the stack does.

    Attributes
    ----------
    prepare : makes its folder and configuration and returns the program; called before every start
    is_ready : whether it serves
    stop_order : services of a greater number are stopped first; equal ones together
    spare : what takes its place when it dies; several services may share one
    """

    name: str
    prepare: Callable[[], Program]
    is_ready: Callable[[], Awaitable[bool]]
    stop_order: int = 0
    ready_within_s: float = START_WITHIN_S
    spare: Spare | None = None
    # what the supervisor knows
    child: Child | None = None
    state: str = "stopped"
    restarts: int = 0
    last_exit: int | None = None
    wait_s: float = field(default=0.0)

    def describe(self) -> ProcessState:
        """Return the entry of the state file."""
        alive = self.child is not None and self.child.exit_code() is None
        return ProcessState(
            name=self.name,
            pid=self.child.pid if self.child is not None and alive else 0,
            started_s=self.child.started_s if self.child is not None and alive else 0.0,
            state=self.state,
            restarts=self.restarts,
            last_exit=self.last_exit,
        )


class Supervisor:
    """Runs services; ``changed`` is called whenever one of them changes its state."""

    def __init__(self, changed: Callable[[Sequence[Service]], None]) -> None:
        self._changed = changed
        self._services: list[Service] = []
        self._keepers: list[asyncio.Task[None]] = []
        self._log = structlog.get_logger()

    def start(self, service: Service) -> None:
        """Start the process; do not wait for it."""
        program = service.prepare()
        waiting = None if service.spare is None else service.spare.take(program)
        service.child = waiting or Child(program)
        if service not in self._services:
            self._services.append(service)
        self._set(service, "starting")

    async def ready(self, service: Service) -> float:
        """Wait until a started service is ready and keep it running from then on; return the seconds.

        Raises
        ------
        MissingRequirement
            It ended or was not ready in time.
        """
        assert service.child is not None, "start it first"
        seconds = await wait_until_ready(service.child, service.is_ready, service.ready_within_s)
        self._set(service, "ready")
        self._keepers.append(asyncio.create_task(self._keep(service), name=f"keep {service.name}"))
        return seconds

    async def run(self, until: asyncio.Event) -> None:
        """Return when ``until`` is set; raise what a keeper raised."""
        stop = asyncio.create_task(until.wait())
        housekeeping = asyncio.create_task(self._rotate_logs())
        try:
            done, _ = await asyncio.wait(
                [stop, housekeeping, *self._keepers], return_when=asyncio.FIRST_COMPLETED
            )
            for task in done - {stop}:
                task.result()
        finally:
            stop.cancel()
            housekeeping.cancel()

    async def stop(self) -> None:
        """Stop all, greatest ``stop_order`` first; what does not end in time is killed."""
        for keeper in self._keepers:
            keeper.cancel()
        await asyncio.gather(*self._keepers, return_exceptions=True)
        for spare in {service.spare for service in self._services if service.spare is not None}:
            spare.stop()
        for order in sorted({service.stop_order for service in self._services}, reverse=True):
            await asyncio.gather(
                *(self._stop(service) for service in self._services if service.stop_order == order)
            )

    async def _stop(self, service: Service) -> None:
        if service.child is None:
            return
        if service.child.exit_code() is None:
            self._set(service, "stopping")
        service.last_exit = await stop_child(service.child)
        self._set(service, "stopped")

    async def _keep(self, service: Service) -> None:
        while True:
            began = time.monotonic()
            service.last_exit = await self._ended(service)
            if time.monotonic() - began > _STEADY_AFTER_S:
                service.wait_s = 0.0
            self._set(service, "waiting")
            self._log.warning(
                "process ended", process=service.name, code=service.last_exit, restart_in_s=service.wait_s
            )
            await asyncio.sleep(service.wait_s)
            service.wait_s = min(max(2 * service.wait_s, _FIRST_WAIT_S), _LONGEST_WAIT_S)
            service.restarts += 1
            self.start(service)

    async def _ended(self, service: Service) -> int:
        child = service.child
        assert child is not None
        async with asyncio.TaskGroup() as both:
            beside = both.create_task(self._accompany(service))
            code = await child.ended()
            beside.cancel()
        child.kill()  # its own children, if it left any
        return code

    async def _accompany(self, service: Service) -> None:
        """Note when a service that was started again is ready; later have a spare beside it."""
        while service.state == "starting":
            if await service.is_ready():
                self._set(service, "ready")
            else:
                await asyncio.sleep(_LOOK_S)
        if service.spare is not None:
            await asyncio.sleep(_SPARE_AFTER_S)
            service.spare.keep()

    async def _rotate_logs(self) -> None:
        while True:
            await asyncio.sleep(_ROTATE_EVERY_S)
            for service in self._services:
                if service.child is not None:
                    rotate(service.child.program.log_file)

    def _set(self, service: Service, state: str) -> None:
        service.state = state
        self._changed(self._services)


async def stop_child(child: Child) -> int:
    """Ask a child to stop, kill it after its ``stop_within_s``; return its exit code."""
    child.terminate()
    deadline = time.monotonic() + child.program.stop_within_s
    while (code := child.exit_code()) is None:
        if time.monotonic() > deadline:
            return child.kill()
        await asyncio.sleep(0.05)
    child.kill()
    return code


def own_start_time() -> float:
    """Return when this process started, seconds since 1970."""
    return start_time(os.getpid())
