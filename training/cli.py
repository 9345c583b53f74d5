"""``python -m training``: wait for snapshots, train now, judge, and look after models."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from schemas.settings import MAX_SEED, Settings
from training.child import FAILED_EXIT, REFUSED_EXIT
from training.child_command import begin_in_child, run_in_child
from training.configuration import Split, TrainingConfig
from training.decisions import PUBLISHED, Asked, asked_by_command
from training.ending import finish, say
from training.evaluation_tables import show_evaluation
from training.inputs import NEWEST
from training.lists_cli import lists_cli
from training.models_cli import models_cli

cli = typer.Typer(no_args_is_help=True, add_completion=False, help="From a snapshot to a served model.")
cli.add_typer(models_cli, name="models")
cli.add_typer(lists_cli, name="lists")
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
Snapshot = Annotated[str, typer.Option("--snapshot", help="Snapshot id, or newest.")]
Report = Annotated[Path | None, typer.Option("--report", help="Write the page about it to this file.")]
Hidden = Annotated[
    Split,
    typer.Option("--split", help="What the judgement hides: each user's latest, or all after one moment."),
]
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
    finish(run_until_signalled(settings, interval_s))


@cli.command()
def train(
    snapshot: Snapshot = NEWEST,
    as_json: Json = False,
    rank: Annotated[int | None, typer.Option(min=2, help="Factors.")] = None,
    reg_param: Annotated[
        float | None, typer.Option(min=1e-6, help="Regularisation, Spark's weighting.")
    ] = None,
    alpha: Annotated[float | None, typer.Option(min=1e-6, help="Confidence is 1 + alpha * strength.")] = None,
    max_iter: Annotated[int | None, typer.Option(min=1, max=15, help="ALS iterations.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, max=MAX_SEED, help="Seed of fit and split.")] = None,
    tune: Annotated[
        int | None, typer.Option(min=1, help="Search the parameters that are not given, by so many trials.")
    ] = None,
    tune_minutes: Annotated[float, typer.Option(min=0.1, help="Begin no trial after so many minutes.")] = 60,
    split: Hidden = Split.LATEST,
    because: Annotated[str | None, typer.Option(help="The reason, kept in `segue models log`.")] = None,
    actor: Annotated[str | None, typer.Option(hidden=True)] = None,
    in_process: InProcess = False,
) -> None:
    """Train on a snapshot, judge, and publish the model, or refuse it with a reason."""
    settings = Settings()
    limit_s = 60 * tune_minutes
    if not in_process:
        deadline_s = settings.train_deadline_s + (0.0 if tune is None else limit_s)
        raise typer.Exit(run_in_child(settings, deadline_s))
    flags = {"rank": rank, "reg_param": reg_param, "alpha": alpha, "max_iter": max_iter}
    config = TrainingConfig.from_settings(settings, seed=seed, split=split, **flags)
    console = begin_in_child(settings)
    from training.pipeline import train as run_training
    from training.trials import Budget
    from training.tuned import Choice
    from training.tunings import explicit_parameters

    budget = None if tune is None else Budget(tune, limit_s)
    choice = Choice(explicit_parameters(settings, **flags), budget)

    asked = asked_by_command("train", because)
    asked = Asked(actor or asked.actor, asked.because)
    training = run_training(settings, snapshot, config, console, asked, choice)
    log = settings.spark_log
    result = finish(training, refused=REFUSED_EXIT, failed=FAILED_EXIT, to=console.file, log=log)
    _show(result, as_json, console)
    if result["state"] != PUBLISHED:
        say(f"the model was refused: {result['reason']}", console.file)
        raise typer.Exit(REFUSED_EXIT)


@cli.command()
def evaluate(
    snapshot: Snapshot = NEWEST,
    report: Report = None,
    split: Hidden = Split.LATEST,
    as_json: Json = False,
    in_process: InProcess = False,
) -> None:
    """Judge the served model's parameters on the split of a snapshot, beside baselines."""
    settings = Settings()
    if not in_process:
        raise typer.Exit(run_in_child(settings, settings.train_deadline_s))
    console = begin_in_child(settings)
    from training.assessment import evaluate as run_evaluation
    from training.tuned import Choice
    from training.tunings import explicit_parameters

    config = TrainingConfig.from_settings(settings, split=split)
    choice = Choice(explicit_parameters(settings))
    work = run_evaluation(settings, snapshot, config, console, choice, report)
    result = finish(work, failed=FAILED_EXIT, to=console.file, log=settings.spark_log)
    if as_json:
        print(json.dumps(result), flush=True)
        return
    show_evaluation(result["evaluation"], Console())
    model = result["model_id"]
    print(f"model {model[:12]} is in service" if model else "no model is in service: these are the settings'")
    if report is not None:
        print(f"report: {result['report']}")


def _show(result: dict[str, Any], as_json: bool, console: Console) -> None:
    if as_json:
        print(json.dumps(result), flush=True)
        return
    show_evaluation(result["evaluation"], Console())
    state, model = result.get("state", "served"), result["model_id"][:12]
    print(f"model {model} is {state}" + (f" as number {result['seq']}" if result.get("seq") else ""))
