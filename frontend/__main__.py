"""``python -m frontend``: serve until SIGTERM or Ctrl-C."""

import asyncio
import logging
import signal
import socket
import sys

import structlog
from hypercorn.asyncio import serve
from hypercorn.config import Config
from quart import Quart

from frontend import metrics
from frontend.application import create_app
from frontend.services import EXTENSION, Services
from schemas.errors import MissingRequirement, SegueError
from schemas.settings import Settings

_log = structlog.get_logger()
_GRACE_S = 2.0
_BACKLOG = 2048


def main() -> int:
    """Serve; return the exit code."""
    settings = Settings()
    _configure_logs(settings)
    try:
        asyncio.run(_serve(settings))
    except (SegueError, OSError) as error:
        print(f"segue web: {error}", file=sys.stderr)
        return 1
    return 0


async def _serve(settings: Settings) -> None:
    listener = _listen(settings)
    app = create_app(settings)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    config = Config()
    config.bind = [f"fd://{listener.detach()}"]
    config.include_server_header = False
    config.backlog = _BACKLOG
    config.graceful_timeout = _GRACE_S
    config.shutdown_timeout = _GRACE_S
    config.accesslog = None
    config.errorlog = logging.getLogger("hypercorn.error")  # its own handler would say all twice
    failures: list[BaseException] = []
    await serve(app, config, shutdown_trigger=lambda: _until(app, settings, stop, failures))
    if failures:
        raise failures[0]


def _listen(settings: Settings) -> socket.socket:
    """Return the listening socket; bound before anything is opened, so that a taken port is one sentence."""
    host, port = settings.web_host, settings.web_port
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family, backlog=_BACKLOG)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return listener
    except OSError as error:
        raise MissingRequirement(
            f"port {port} on {host} cannot be listened on: set SEGUE_WEB_PORT or SEGUE_WEB_HOST ({error})"
        ) from error


async def _until(app: Quart, settings: Settings, stop: asyncio.Event, failures: list[BaseException]) -> None:
    """Return when the server shall end, its live streams closed; add what ended the background work."""
    services: Services = app.extensions[EXTENSION]
    try:
        metrics.serve(services.metrics, settings)
    except MissingRequirement as error:
        failures.append(error)
        return
    _log.info("serving", address=f"http://{settings.web_host}:{settings.web_port}")
    services.failure.add_done_callback(lambda _: stop.set())
    await stop.wait()
    if services.failure.done() and (failed := services.failure.exception()) is not None:
        failures.append(failed)
    services.lists.close()


def _configure_logs(settings: Settings) -> None:
    level = getattr(logging, settings.log_level.upper())
    as_json = settings.log_json if settings.log_json is not None else not sys.stderr.isatty()
    logging.basicConfig(level=max(level, logging.WARNING), stream=sys.stderr, format="%(name)s: %(message)s")
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer() if as_json else structlog.dev.ConsoleRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


if __name__ == "__main__":
    sys.exit(main())
