"""The commands `segue data ...`: get archives, add own music, verify what is loaded."""

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Literal

import typer

from etl.command import Json, Processes, finish, program_settings, show
from schemas.errors import InvalidInput

data = typer.Typer(no_args_is_help=True, help="Get archives of FMA, add own music, verify what is loaded.")


@data.command()
def get(
    archive: Annotated[
        Literal["metadata", "small", "medium", "large", "full"],
        typer.Argument(help="tables alone (342 MiB), or clips too: 7.2, 22, 93 or 879 GiB"),
    ],
    source: Annotated[
        Path | None,
        typer.Option(
            "--from", help="an archive that you have: verified and unpacked, neither copied nor deleted"
        ),
    ] = None,
    keep: Annotated[
        bool,
        typer.Option(
            "--keep-archive/--no-keep-archive", help="keep the downloaded archive after it is unpacked"
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """Download, verify and unpack an archive of FMA. Interrupt it at will: the next run goes on."""
    from etl import get as program
    from etl.archives import ARCHIVES

    settings = program_settings()
    folder = settings.data_dir / "fma"
    request = program.Request(ARCHIVES[archive], settings.fma_url, folder, source=source, keep=keep)
    try:
        report, refusals = program.run(request)
    except KeyboardInterrupt:
        print("stopped: what came is kept, and the same command goes on from there", file=sys.stderr)
        raise typer.Exit(130) from None
    show(asdict(report), f"FMA {archive}", as_json)
    if refusals is not None:
        raise InvalidInput(refusals)


@data.command()
def add(
    path: Annotated[Path, typer.Argument(help="folder with music (searched through), or one file")],
    all_gone: Annotated[
        bool,
        typer.Option("--all-gone", help="the folder is empty on purpose: mark all its tracks as removed"),
    ] = False,
    processes: Processes = None,
    as_json: Json = False,
) -> None:
    """Add own music, or bring it up to date. Twice changes nothing; moved files are recognised."""
    from etl import own as program

    finish(
        lambda database: program.run(database, path, processes=processes, all_gone=all_gone),
        program_settings(),
        "Own music",
        as_json,
    )


@data.command()
def verify(
    deep: Annotated[
        bool, typer.Option("--deep", help="read all files and compare their SHA-256 where one is recorded")
    ] = False,
    as_json: Json = False,
) -> None:
    """Compare the catalogue with its files and with itself; exit code 1 when something is wrong."""
    from etl import verify as program

    settings = program_settings()
    report = finish(
        lambda database: program.run(database, settings.data_dir.resolve(), deep=deep),
        settings,
        "Catalogue and files",
        as_json,
    )
    if (wrong := report.sentence()) is not None:
        raise InvalidInput(wrong)
