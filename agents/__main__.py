"""``python -m agents``: the worker, and what looks at the log from outside."""

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

# one solve is too small for two threads, which would only wait for each other
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import typer

from schemas.errors import SegueError, Stalled
from schemas.settings import Settings

if TYPE_CHECKING:
    from agents.ranking.program import RankingPrograms
    from agents.start import StartTimes

cli = typer.Typer(
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help="The worker and the log."
)
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
T = TypeVar("T")


@cli.command()
def worker(
    spare: Annotated[
        bool, typer.Option("--spare", hidden=True, help="Wait on standard input for whose place to take.")
    ] = False,
) -> None:
    """Fold plays into histories and answer each with a fresh list, until stopped."""
    from agents.logs import configure_logs
    from agents.start import StartTimes, process_start_s, wait_for_place
    from agents.watchdog import EXIT_STALLED

    ranking = wait_for_place() if spare else None
    if spare and ranking is None:
        raise typer.Exit(0)
    times = StartTimes()
    times.note("told", None if spare else process_start_s())
    settings = Settings()
    configure_logs(settings)
    try:
        _run(_work(settings, times, ranking))
    except* Stalled as stalled:
        print(f"segue: {stalled.exceptions[0]}", file=sys.stderr)
        raise typer.Exit(EXIT_STALLED) from None
    except* SegueError as errors:
        print(f"segue: {errors.exceptions[0]}", file=sys.stderr)
        raise typer.Exit(1) from None


@cli.command()
def snapshot(
    as_json: Json = False,
    timeout_s: Annotated[float, typer.Option("--timeout", help="Seconds to wait.")] = 120.0,
) -> None:
    """Write a barrier now and wait until the snapshot is complete."""
    manifest = _run(_snapshot(Settings(), timeout_s))
    facts = {
        "snapshot_id": manifest.snapshot_id,
        "generation": manifest.generation,
        "users": manifest.users,
        "cut": manifest.cut,
        "counts": manifest.counts,
    }
    if as_json:
        print(json.dumps(facts))
    else:
        applied = manifest.counts.get("applied", 0)
        print(f"snapshot {manifest.snapshot_id}: {manifest.users} users, {applied} events applied")


@cli.command()
def audit(
    as_json: Json = False,
    port: Annotated[list[int] | None, typer.Option(help="Loopback port of a worker; repeatable.")] = None,
) -> None:
    """Fold the log again and compare with what the workers hold; exit 1 when something differs."""
    from agents.audit import audit as run_audit

    settings = Settings()
    first = settings.worker_metrics_port
    result = _run(run_audit(settings, port or list(range(first, first + settings.workers))))
    if as_json:
        print(json.dumps(result))
    else:
        _print_rows("Audit", [*result["partitions"], {**result, "partition": "all"}])
    if result["lost"] or result["double"]:
        raise typer.Exit(1)


@cli.command()
def verify(
    as_json: Json = False,
    snapshot_id: Annotated[str | None, typer.Option("--snapshot", help="By default the newest.")] = None,
) -> None:
    """Refold the log below a snapshot's cut and compare hash by hash; exit 1 when it differs."""
    from agents.verify import verify as run_verify

    result = _run(run_verify(Settings(), snapshot_id))
    if as_json:
        print(json.dumps(result))
    else:
        _print_rows(f"Snapshot {result['snapshot_id']}", result["partitions"])
    if not result["equal"]:
        raise typer.Exit(1)


@cli.command()
def replay(
    until: Annotated[
        str | None, typer.Option(help="Fold what was accepted before: ISO 8601 with a zone, or a date (UTC).")
    ] = None,
    offsets: Annotated[
        Path | None, typer.Option(help="JSON file {partition: offset}, or a manifest: fold below these.")
    ] = None,
    like: Annotated[str | None, typer.Option(help="Fold below the cut of this snapshot.")] = None,
    resume: Annotated[str | None, typer.Option(help="Go on with this unfinished replay.")] = None,
    from_beginning: Annotated[
        bool, typer.Option("--from-beginning", help="Begin at the first record, not from the newest part.")
    ] = False,
    check: Annotated[
        bool,
        typer.Option(
            "--check", help="Fold from the beginning; compare with the workers' snapshot of the same cut."
        ),
    ] = False,
    processes: Annotated[int | None, typer.Option(min=1, max=64, help="By default one per core.")] = None,
    checkpoint_s: Annotated[
        float, typer.Option("--checkpoint", min=0, help="Seconds between checkpoints of a long partition.")
    ] = 30.0,
    as_json: Json = False,
) -> None:
    """Fold the log into a complete snapshot, without any worker; exit 1 when a check differs."""
    from rich.console import Console

    from agents.logs import configure_logs
    from agents.replay.processes import stop_signal
    from agents.replay.run import Request
    from agents.replay.run import replay as run_replay

    if sum(one is not None for one in (until, offsets, like, resume)) > 1:
        raise typer.BadParameter("give one of --until, --offsets, --like and --resume")
    settings = Settings()
    configure_logs(settings)
    request = Request(until, offsets, like, resume, from_beginning, check, processes, checkpoint_s)
    with _refusals(), stop_signal() as stopped:
        result = run_replay(settings, request, Console(stderr=True), stopped)
    compared = result.get("check")
    if as_json:
        print(json.dumps(result))
    else:
        _print_replay(result, check)
    if compared is not None and not compared["equal"]:
        raise typer.Exit(1)


def _print_replay(result: dict[str, Any], check: bool) -> None:
    print(
        f"snapshot {result['snapshot_id']}: {result['users']} users, {sum(result['cut'].values())} records, "
        f"of which {result['folded']} were folded in {result['seconds']:.1f} s"
    )
    if (compared := result.get("check")) is not None:
        said = "equal" if compared["equal"] else f"partition(s) {compared['differing']} differ"
        print(f"snapshot {compared['snapshot_id']} has the same cut: {said}")
    elif check:
        print("no snapshot of the workers has this cut: nothing to compare with")


async def _work(settings: Settings, times: "StartTimes", ranking: "RankingPrograms | None") -> None:
    from agents.inspection import serve_inspection
    from agents.opening import open_worker

    times.note("loaded")
    async with open_worker(settings, times=times, ranking=ranking) as one, serve_inspection(one):
        work = asyncio.create_task(one.run())
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, work.cancel)
        with contextlib.suppress(asyncio.CancelledError):
            await work


async def _snapshot(settings: Settings, timeout_s: float) -> Any:
    from agents.snapshots import ask_for_snapshot, wait_for_snapshot
    from connections.event_log import LogReader
    from connections.log_writer import LogWriter
    from connections.snapshot_store import SnapshotStore

    async with LogReader(settings) as reader:
        generation = await reader.generation()
    async with LogWriter(settings) as writer:
        snapshot_id = await ask_for_snapshot(writer)
    store = SnapshotStore(settings.snapshot_location)
    return await wait_for_snapshot(store, generation, snapshot_id, timeout_s)


def _run(work: Coroutine[Any, Any, T]) -> T:
    with _refusals():
        return asyncio.run(work)
    raise AssertionError("a refusal ends the command")


@contextlib.contextmanager
def _refusals() -> Iterator[None]:
    """Turn what is refused into one sentence and exit code 1."""
    try:
        yield
    except SegueError as error:
        print(f"segue: {error}", file=sys.stderr)
        raise typer.Exit(1) from error


def _print_rows(title: str, rows: list[dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.table import Table

    names = [name for name in rows[0] if name != "partitions"]
    table = Table(*names, title=title)
    for row in rows:
        table.add_row(*(str(row[name]) for name in names))
    Console().print(table)


if __name__ == "__main__":
    cli()
