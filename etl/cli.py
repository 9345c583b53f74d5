"""The command line of the ETL: `python -m etl demo|run|import|data|status|...`."""

import logging
import sys
from pathlib import Path
from typing import Annotated

import structlog
import typer

from etl.command import Json, Processes, finish, program_settings
from etl.data_cli import data
from schemas.errors import SegueError

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Catalogues, audio features and imports.")
imports = typer.Typer(no_args_is_help=True, help="Import research data sets of listening.")
app.add_typer(imports, name="import")
app.add_typer(data, name="data")


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

    settings = program_settings()
    finish(lambda database: program.run(database, settings.data_dir), settings, "Demo catalogue", as_json)


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
    finish(
        lambda database: program.run(database, metadata, audio, clips_only=clips_only, processes=processes),
        program_settings(),
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

    settings = program_settings()
    finish(
        lambda database: program.run(settings, database, directory, password=password),
        settings,
        "HetRec",
        as_json,
    )


@app.command()
def status(as_json: Json = False) -> None:
    """Count tracks, tracks with audio, features and rejections."""
    from etl import status as program

    finish(program.catalogue_status, program_settings(), "Catalogue", as_json)
