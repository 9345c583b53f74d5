"""The command line of the ETL: `python -m etl demo|run|import|data|status|...`."""

import logging
import sys
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import structlog
import typer

from etl.command import Json, Processes, finish, program_settings
from etl.data_cli import data
from schemas.errors import InvalidInput, SegueError
from schemas.settings import Settings

if TYPE_CHECKING:
    from etl.sound import Engine

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Catalogues, audio features and imports.")
imports = typer.Typer(no_args_is_help=True, help="Import research data sets of listening.")
app.add_typer(imports, name="import")
app.add_typer(data, name="data")


def main() -> None:
    """Run the command line: errors are one sentence on stderr and exit code 1."""
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # what it says is raised as well
    logging.getLogger("matplotlib").setLevel(logging.CRITICAL)  # it tells that it looks for fonts
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
    metadata: Annotated[
        Path | None,
        typer.Option(
            help="folder with FMA's tracks.csv[.gz] and genres.csv; by default that of `data get metadata`"
        ),
    ] = None,
    audio: Annotated[
        Path | None, typer.Option(help="folder with the clips: 000/000002.mp3; without it: metadata only")
    ] = None,
    clips_only: Annotated[
        bool, typer.Option("--clips-only", help="load only tracks that have a clip")
    ] = False,
    processes: Processes = None,
    features: Annotated[
        Literal["audio", "precomputed"],
        typer.Option(help="audio: extracted from the clips; precomputed: from FMA's features.csv"),
    ] = "audio",
    engine: Annotated[
        Literal["local", "spark"], typer.Option(help="where clips are decoded: processes here, or Spark")
    ] = "local",
    retry_rejected: Annotated[
        bool, typer.Option("--retry-rejected", help="read clips again that were refused and have not changed")
    ] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="exit 1 at the end if a row or a file was refused")
    ] = False,
    as_json: Json = False,
) -> None:
    """Load the FMA data set: metadata, and features of the clips. Twice changes nothing."""
    if clips_only and audio is None:
        raise typer.BadParameter("--clips-only needs --audio")
    settings = program_settings()
    from etl import fma as program
    from etl.quality_table import print_report

    folder = metadata or settings.data_dir / "fma" / "fma_metadata"
    with _engine(engine, settings, processes) as chosen:
        report = finish(
            lambda database: program.run(
                database,
                folder,
                audio,
                clips_only=clips_only,
                processes=processes,
                precomputed=features == "precomputed",
                engine=chosen,
                retry_rejected=retry_rejected,
            ),
            settings,
            "FMA",
            as_json,
            print_report,
        )
    if strict and (sentence := report.refusals()) is not None:
        raise InvalidInput(f"--strict: {sentence}")


def _engine(name: str, settings: Settings, processes: int | None) -> "AbstractContextManager[Engine | None]":
    """Return what extracts features; None stands for processes on this machine."""
    if name == "local":
        return nullcontext()
    from etl.spark_engine import spark_engine

    return spark_engine(settings, processes)


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
def refit(as_json: Json = False) -> None:
    """Fit the standardisation of features anew on all that are stored: a new revision; the old one stays."""
    from etl import normalise as program

    finish(program.refit, program_settings(), "Standardisation", as_json)


@app.command()
def status(as_json: Json = False) -> None:
    """Count tracks, audio, features, scalers, rejections, genres, and tell the newest run."""
    from etl import status as program

    finish(program.catalogue_status, program_settings(), "Catalogue", as_json)


@app.command()
def report(
    out: Annotated[
        Path | None, typer.Option(help="file to write; by default reports/catalogue.html in the data folder")
    ] = None,
    as_json: Json = False,
) -> None:
    """Write one HTML page about the catalogue: genres, lengths, features, a map of tracks, rejections."""
    settings = program_settings()  # before matplotlib is imported
    from etl import report as program

    path = out or program.default_path(settings.data_dir)
    finish(lambda database: program.run(database, path), settings, "Report", as_json)
