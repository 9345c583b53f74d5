"""``python -m training``: wait for snapshots, train now, judge, and look after models."""

import asyncio
import json
import sys
from collections.abc import Coroutine
from typing import Annotated, Any, TextIO, TypeVar

import typer
from rich.console import Console
from rich.table import Table

from connections.documents import open_documents
from schemas.documents import Pointer
from schemas.errors import MissingRequirement, SegueError, Unavailable
from schemas.settings import Settings
from training.child import FAILED_EXIT, DeadlineExceeded, become_child, run_child
from training.configuration import TrainingConfig
from training.inputs import NEWEST
from training.progress import evaluation_table

cli = typer.Typer(no_args_is_help=True, add_completion=False, help="From a snapshot to a served model.")
models_cli = typer.Typer(no_args_is_help=True, help="Published and refused models.")
cli.add_typer(models_cli, name="models")
T = TypeVar("T")
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
Snapshot = Annotated[str, typer.Option("--snapshot", help="Snapshot id, or newest.")]
InProcess = Annotated[bool, typer.Option("--in-process", hidden=True)]


@cli.command()
def trainer(
    interval_s: Annotated[
        float | None, typer.Option("--interval", help="Train on any new event after so many seconds.")
    ] = None,
) -> None:
    """Wait for snapshots and train when one has grown enough, until stopped."""
    from training.trainer import configure_logs, run_until_signalled

    settings = Settings()
    configure_logs(settings)
    _run(run_until_signalled(settings, interval_s))


@cli.command()
def train(
    snapshot: Snapshot = NEWEST,
    as_json: Json = False,
    rank: Annotated[int | None, typer.Option(min=2, help="Factors.")] = None,
    reg_param: Annotated[float | None, typer.Option(help="Regularisation, Spark's weighting.")] = None,
    alpha: Annotated[float | None, typer.Option(help="Confidence is 1 + alpha * strength.")] = None,
    max_iter: Annotated[int | None, typer.Option(min=1, max=15, help="ALS iterations.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of fit and split.")] = None,
    in_process: InProcess = False,
) -> None:
    """Train on a snapshot, judge, and publish the model, or refuse it with a reason."""
    settings = Settings()
    if not in_process:
        raise typer.Exit(_in_child(settings))
    config = TrainingConfig.from_settings(
        settings, rank=rank, reg_param=reg_param, alpha=alpha, max_iter=max_iter, seed=seed
    )
    console = _become_child(settings)
    from training.pipeline import PUBLISHED
    from training.pipeline import train as run_training

    result = _run(run_training(settings, snapshot, config, console), failed=FAILED_EXIT, to=console.file)
    _show(result, as_json, console)
    if result["state"] != PUBLISHED:
        _say(f"the model was refused: {result['reason']}", console.file)
        raise typer.Exit(1)


@cli.command()
def evaluate(snapshot: Snapshot = NEWEST, as_json: Json = False, in_process: InProcess = False) -> None:
    """Judge the served model on the split of a snapshot."""
    settings = Settings()
    if not in_process:
        raise typer.Exit(_in_child(settings))
    console = _become_child(settings)
    from training.pipeline import evaluate as run_evaluation

    config = TrainingConfig.from_settings(settings)
    result = _run(run_evaluation(settings, snapshot, config, console), failed=FAILED_EXIT, to=console.file)
    _show(result, as_json, console)


@models_cli.command("list")
def list_models(as_json: Json = False) -> None:
    """List models, newest first."""
    from training.models import all_models

    found = _run(_with_documents(all_models))
    if as_json:
        print(json.dumps({"models": found}))
        return
    table = Table("seq", "model", "state", "served", "rank", "tracks", "NDCG@10", "created", "reason")
    for one in found:
        ndcg = one["ndcg_at_10"]
        table.add_row(
            str(one["seq"]), one["model_id"][:12], one["state"], "yes" if one["served"] else "",
            str(one["rank"]), str(one["items"]), "" if ndcg is None else f"{ndcg:.4f}", one["created"],
            one["reason"] or "",
        )  # fmt: skip
    Console().print(table)


@models_cli.command()
def show(model_id: str, as_json: Json = False) -> None:
    """Show one model and its evaluation; the beginning of the id is enough."""
    from training.models import one_model

    found = _run(_with_documents(lambda database: one_model(database, model_id)))
    if as_json:
        print(json.dumps(found))
        return
    console = Console()
    for name in ("_id", "state", "reason", "seq", "snapshot_id", "training_id", "rank", "items"):
        console.print(f"{name.lstrip('_'):12} {found.get(name)}", highlight=False)
    console.print(evaluation_table(found["metrics"]))


@models_cli.command()
def promote(model_id: str, as_json: Json = False) -> None:
    """Put a published model into service; the beginning of its id is enough."""
    from training.models import promote_model

    _show_pointer(_run(promote_model(Settings(), model_id)), as_json)


@models_cli.command()
def rollback(as_json: Json = False) -> None:
    """Put the model that was published before the served one into service."""
    from training.models import roll_back

    _show_pointer(_run(roll_back(Settings())), as_json)


async def _with_documents(work: Any) -> Any:
    async with open_documents(Settings()) as database:
        return await work(database)


def _in_child(settings: Settings) -> int:
    """Run the same command line in a child; return what this process exits with."""
    command, *options = sys.argv[1:]
    try:
        code = asyncio.run(run_child([command, "--in-process", *options], settings.train_deadline_s))
    except (DeadlineExceeded, KeyboardInterrupt) as error:
        _say(str(error) or "interrupted", sys.stderr)
        return 1
    return code if code in (0, 2) else 1


def _become_child(settings: Settings) -> Console:
    from connections.spark import spark_log
    from training.session import set_standard_error_aside

    become_child()
    return Console(file=set_standard_error_aside(spark_log(settings)))


def _run(work: Coroutine[Any, Any, T], *, failed: int = 1, to: TextIO | Any = sys.stderr) -> T:
    try:
        return asyncio.run(work)
    except SegueError as error:
        _say(str(error), to)
        again = isinstance(error, Unavailable | MissingRequirement)
        raise typer.Exit(failed if again else 1) from error


def _show(result: dict[str, Any], as_json: bool, console: Console) -> None:
    if as_json:
        print(json.dumps(result), flush=True)
        return
    Console().print(evaluation_table(result["evaluation"]))
    state, model = result.get("state", "served"), result["model_id"][:12]
    print(f"model {model} is {state}" + (f" as number {result['seq']}" if result.get("seq") else ""))


def _show_pointer(pointer: Pointer, as_json: bool) -> None:
    facts = {"model_id": pointer["model_id"], "seq": pointer["seq"]}
    text = f"model {pointer['model_id'][:12]} is in service as number {pointer['seq']}"
    print(json.dumps(facts) if as_json else text)


def _say(message: str, to: TextIO | Any) -> None:
    print(f"segue: {message}", file=to, flush=True)
