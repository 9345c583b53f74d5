"""Log lines of the worker: JSON outside a terminal; Faust's own lines go the same way."""

import logging
import sys

import structlog

from schemas.settings import Settings


def configure_logs(settings: Settings) -> None:
    """Send structlog's and the standard library's lines to stderr in one form."""
    as_json = not sys.stderr.isatty() if settings.log_json is None else settings.log_json
    level = logging.getLevelNamesMapping()[settings.log_level.upper()]
    shared: list[structlog.types.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    renderer: structlog.types.Processor = (
        structlog.processors.JSONRenderer() if as_json else structlog.dev.ConsoleRenderer()
    )
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(processor=renderer, foreign_pre_chain=shared))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    # the libraries' own lines are many: shown in full only when everything is wanted
    root.setLevel(logging.INFO if level <= logging.DEBUG else max(level, logging.WARNING))
