"""`segue up`: everything in order, kept running until Ctrl-C or SIGTERM."""

import asyncio
import logging
import os
import signal
from collections.abc import Sequence

import structlog
from rich.console import Console

from connections.documents import ensure_indexes, open_documents, wait_until_writable
from connections.log_topics import ensure_topics
from schemas import documents
from schemas.errors import MissingRequirement
from schemas.settings import Settings
from stack.environment import recorded_environment
from stack.first_steps import first_history, load_demo_catalogue, wants_history
from stack.folder import StackState, end_orphans, occupied, read_state, write_state
from stack.kafka import kafka_answers
from stack.mongod import mongod_is_primary
from stack.ports import check_ports
from stack.report import Progress, status_table
from stack.services import part_services, program_services, web_address
from stack.supervisor import Service, Supervisor, own_start_time

_OUTSIDE_WITHIN_S = 15.0


def up(settings: Settings, catalogue: str, console: Console) -> int:
    """Run the stack in the foreground; return the exit code.

    Parameters
    ----------
    catalogue : ``demo`` loads the demo tracks when the catalogue is empty, ``none`` leaves it as it is

    Raises
    ------
    SegueError
        Something that is needed is missing; everything that was started has been stopped again.
    """
    with occupied(settings):
        _log_to_file(settings)
        progress = Progress(console)
        for name in end_orphans(settings):
            progress.note(f"ended {name}, which an earlier stack had left running")
        check_ports(settings)
        asyncio.run(_Stack(settings, catalogue, progress).run())
    return 0


class _Stack:
    def __init__(self, settings: Settings, catalogue: str, progress: Progress) -> None:
        self._settings = settings
        self._catalogue = catalogue
        self._progress = progress
        self._supervisor = Supervisor(self._write_state)

    async def run(self) -> None:
        stop = asyncio.Event()
        starting = asyncio.create_task(self._start())
        told = asyncio.create_task(stop.wait())
        history: asyncio.Task[None] | None = None
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop.set)
        try:
            await asyncio.wait([starting, told], return_when=asyncio.FIRST_COMPLETED)
            if starting.done():
                starting.result()
                self._show()
                history = asyncio.create_task(self._history())
                await self._supervisor.run(stop)
        finally:
            for task in (starting, told, history):
                if task is not None:
                    task.cancel()
            await asyncio.gather(starting, told, *filter(None, [history]), return_exceptions=True)
            await self._stop()

    async def _start(self) -> None:
        settings, progress = self._settings, self._progress
        await self._start_all(part_services(settings))
        await self._check_outside()
        with progress.step("topics and indexes"):
            await ensure_topics(settings)
            async with open_documents(settings) as database:
                await wait_until_writable(database)
                await ensure_indexes(database)
                tracks = await database[documents.TRACKS.name].estimated_document_count()
        if tracks == 0 and self._catalogue == "demo":
            with progress.step("catalogue: the demo tracks are made"):
                await load_demo_catalogue(settings)
        else:
            progress.note(f"[green]✓[/] catalogue: {tracks:,} tracks")
        await self._start_all(program_services(settings))

    async def _start_all(self, services: Sequence[Service]) -> None:
        for service in services:
            self._supervisor.start(service)
        for service in services:
            with self._progress.step(service.name):
                await self._supervisor.ready(service)

    async def _check_outside(self) -> None:
        settings = self._settings
        if settings.mongodb_url is not None:
            with self._progress.step("MongoDB (SEGUE_MONGODB_URL)"):
                if not await mongod_is_primary(settings):
                    raise MissingRequirement(
                        "The MongoDB of SEGUE_MONGODB_URL does not answer as a primary: "
                        "start it, or correct the address."
                    )
        if settings.kafka_bootstrap_servers is not None:
            with self._progress.step("Kafka (SEGUE_KAFKA_BOOTSTRAP_SERVERS)"):
                if not await kafka_answers(settings):
                    raise MissingRequirement(
                        f"Kafka does not answer at {settings.kafka_bootstrap_servers} "
                        "(SEGUE_KAFKA_BOOTSTRAP_SERVERS): start it, or correct the address."
                    )

    async def _history(self) -> None:
        if self._catalogue == "demo" and await wants_history(self._settings):
            note = self._progress.note
            note("Demo listeners give the catalogue a history; a first model follows in about a minute.")
            code = await first_history(self._settings, web_address(self._settings))
            note("The history is there." if code == 0 else "The demo history failed: see logs/demo.log.")

    async def _stop(self) -> None:
        with self._progress.console.status("stopping"):
            await self._supervisor.stop()
        self._progress.note("everything is stopped")

    def _show(self) -> None:
        console, state = self._progress.console, read_state(self._settings)
        if state is not None:
            console.print()
            console.print(status_table(state))
        console.print(
            f"\n[bold]Segue is ready at {web_address(self._settings)}[/] "
            f"after {self._progress.seconds:.1f} s. Ctrl-C stops it.\n",
            highlight=False,
        )

    def _write_state(self, services: Sequence[Service]) -> None:
        write_state(
            self._settings,
            StackState(
                pid=os.getpid(),
                started_s=own_start_time(),
                environment=recorded_environment(self._settings),
                web=web_address(self._settings),
                processes=[service.describe() for service in services],
            ),
        )


def _log_to_file(settings: Settings) -> None:
    # the terminal shows steps; what the supervisor and the clients have to say goes to a file
    folder = settings.data_dir.resolve() / "logs"
    folder.mkdir(parents=True, exist_ok=True)
    log = (folder / "stack.log").open("a", encoding="utf-8")
    logging.basicConfig(stream=log, level=logging.WARNING, force=True)
    structlog.configure(
        processors=[structlog.processors.TimeStamper(fmt="iso"), structlog.processors.JSONRenderer()],
        logger_factory=structlog.PrintLoggerFactory(log),
    )
