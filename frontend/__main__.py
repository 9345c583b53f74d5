"""``python -m frontend``: serve until SIGTERM or Ctrl-C."""

import asyncio
import logging
import signal
import sys

import structlog
from hypercorn.asyncio import serve
from hypercorn.config import Config
from quart import Quart

from frontend import metrics
from frontend.application import create_app
from frontend.services import EXTENSION, Services
from schemas.errors import SegueError
from schemas.settings import Settings

_log = structlog.get_logger()
_GRACE_S = 2.0


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
    app = create_app(settings)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    config = Config()
    config.bind = [f"{settings.web_host}:{settings.web_port}"]
    config.include_server_header = False
    config.backlog = 2048
    config.graceful_timeout = _GRACE_S
    config.shutdown_timeout = _GRACE_S
    config.accesslog = None
    failures: list[BaseException] = []
    await serve(app, config, shutdown_trigger=lambda: _until(app, settings, stop, failures))
    if failures:
        raise failures[0]


async def _until(app: Quart, settings: Settings, stop: asyncio.Event, failures: list[BaseException]) -> None:
    """Return when the server shall end, its live streams closed; add what ended the background work."""
    services: Services = app.extensions[EXTENSION]
    metrics.serve(services.metrics, settings)
    _log.info("serving", address=f"http://{settings.web_host}:{settings.web_port}")
    services.failure.add_done_callback(lambda _: stop.set())
    await stop.wait()
    if services.failure.done() and (error := services.failure.exception()) is not None:
        failures.append(error)
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
