"""The command line of the ETL: `python -m etl demo|run|import|status`."""

import asyncio
import json
import logging
import os
import sys
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import structlog
import typer
from rich.console import Console
from rich.table import Table

from connections.documents import Database, open_documents
from schemas.errors import SegueError
from schemas.settings import Settings

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Catalogues, audio features and imports.")
imports = typer.Typer(no_args_is_help=True, help="Import research data sets of listening.")
app.add_typer(imports, name="import")

Json = Annotated[bool, typer.Option("--json", help="print one JSON object")]
Processes = Annotated[
    int | None, typer.Option(min=1, help="processes that decode audio; by default one per core")
]


def main() -> None:
    """Run the command line: errors are one sentence on stderr and exit code 1."""
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # what it says is raised as well
    try:
        app()
    except SegueError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)


@app.command()
def demo(as_json: Json = False) -> None:
    """Make the demo catalogue: 48 short synthesised tracks in six styles. What exists stays."""
    from etl import demo as program

    settings = _settings()
    _finish(lambda database: program.run(database, settings.data_dir), settings, "Demo catalogue", as_json)


@app.command()
def run(
    metadata: Annotated[Path, typer.Option(help="folder with tracks.csv[.gz] and genres.csv of FMA")],
    audio: Annotated[
        Path | None, typer.Option(help="folder with the clips: 000/000002.mp3; without it: metadata only")
    ] = None,
    clips_only: Annotated[
        bool, typer.Option("--clips-only", help="load only tracks that have a clip")
    ] = False,
    processes: Processes = None,
    as_json: Json = False,
) -> None:
    """Load the FMA data set: metadata, and features of the clips. Twice changes nothing."""
    from etl import fma as program

    if clips_only and audio is None:
        raise typer.BadParameter("--clips-only needs --audio")
    _finish(
        lambda database: program.run(database, metadata, audio, clips_only=clips_only, processes=processes),
        _settings(),
        "FMA",
        as_json,
    )


@imports.command()
def hetrec(
    directory: Annotated[Path, typer.Argument(help="folder with artists.dat and user_artists.dat")],
    password: Annotated[
        str | None, typer.Option(help="password of all accounts `hetrec-USER`; without it none can log in")
    ] = None,
    as_json: Json = False,
) -> None:
    """Import HetRec 2011 Last.fm: artists as tracks without sound, play counts as imported listens."""
    from etl import hetrec as program

    settings = _settings()
    _finish(
        lambda database: program.run(settings, database, directory, password=password),
        settings,
        "HetRec",
        as_json,
    )


@app.command()
def status(as_json: Json = False) -> None:
    """Count tracks, tracks with audio, features and rejections."""
    from etl import status as program

    _finish(program.catalogue_status, _settings(), "Catalogue", as_json)


def _settings() -> Settings:
    settings = Settings()
    # librosa loads numba, which must find a writable cache before it is imported, here and in the
    # processes that decode; one BLAS thread each, for there is one process per core
    os.environ.setdefault("NUMBA_CACHE_DIR", str(settings.data_dir.resolve() / "cache" / "numba"))
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    return settings


def _finish(
    program: Callable[[Database], Awaitable[Any]], settings: Settings, title: str, as_json: bool
) -> None:
    """Run a program against the database and print its report."""

    async def work() -> Any:
        async with open_documents(settings) as database:
            return await program(database)

    report = asdict(asyncio.run(work()))
    if as_json:
        print(json.dumps(report))
        return
    table = Table(title=title, show_header=False)
    for name, value in report.items():
        table.add_row(name.replace("_", " "), _cell(value))
    Console().print(table)


def _cell(value: object) -> str:
    if isinstance(value, dict):
        return "\n".join(f"{count:,}  {reason}" for reason, count in value.items()) or "none"
    return f"{value:,}" if isinstance(value, int) else str(value)
