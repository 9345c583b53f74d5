"""What the commands of the ETL share: settings, the run of a program against the database, its report."""

import asyncio
import json
import os
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from connections.documents import Database, open_documents
from schemas.settings import Settings

Json = Annotated[bool, typer.Option("--json", help="print one JSON object")]
Processes = Annotated[
    int | None, typer.Option(min=1, help="processes that decode audio; by default one per core")
]


def program_settings() -> Settings:
    """Return the settings, after what must stand in the environment before libraries are loaded."""
    settings = Settings()
    # matplotlib must find a writable folder before it is imported, for what it knows about fonts
    os.environ.setdefault("MPLCONFIGDIR", str(settings.data_dir.resolve() / "cache" / "matplotlib"))
    # one BLAS thread each, for there is one process per core
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    return settings


def finish(
    program: Callable[[Database], Awaitable[Any]],
    settings: Settings,
    title: str,
    as_json: bool,
    printed: Callable[[Any, str, bool], None] | None = None,
) -> Any:
    """Run a program against the database, print its report, a dataclass, and return it.

    ``printed`` prints it in a form of its own.
    """

    async def work() -> Any:
        async with open_documents(settings) as database:
            return await program(database)

    report = asyncio.run(work())
    if printed is None:
        show(asdict(report), title, as_json)
    else:
        printed(report, title, as_json)
    return report


def show(report: dict[str, Any], title: str, as_json: bool) -> None:
    """Print a report: one JSON object, or a table."""
    if as_json:
        print(json.dumps(report))
        return
    table = Table(title=title, show_header=False)
    table.add_column()
    table.add_column(overflow="fold")  # a path or a hash is of no use without its end
    for name, value in report.items():
        table.add_row(name.replace("_", " "), _plain(_cell(value)))
    Console().print(table)


def _plain(text: str) -> Text:
    """Return a text as it stands: no markup of rich, and no control sequences for the terminal."""
    return Text("".join(each if each.isprintable() or each == "\n" else "\ufffd" for each in text))


def _cell(value: object) -> str:
    if isinstance(value, dict):
        if all(isinstance(count, int) for count in value.values()):
            return "\n".join(f"{count:,}  {reason}" for reason, count in value.items()) or "none"
        return "\n".join(f"{name}: {_cell(each)}" for name, each in value.items())
    if isinstance(value, list):
        return "\n".join(map(str, value)) or "none"
    if value is None:
        return "none"
    return f"{value:,}" if isinstance(value, int) else str(value)
