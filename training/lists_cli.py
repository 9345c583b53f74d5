"""``python -m training lists``: lists for everybody."""

import json
from typing import Annotated

import typer

from schemas.settings import Settings
from training.child import FAILED_EXIT, LISTS_GRACE_S
from training.child_command import begin_in_child, run_in_child
from training.ending import finish, say

lists_cli = typer.Typer(no_args_is_help=True, help="Lists for everybody, for the first paint.")


@lists_cli.callback()
def lists() -> None:
    """Make lists for everybody, for the first paint."""


@lists_cli.command()
def build(
    snapshot: Annotated[
        str | None,
        typer.Option("--snapshot", help="Snapshot id, or newest; by default what was begun, else newest."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    in_process: Annotated[bool, typer.Option("--in-process", hidden=True)] = False,
) -> None:
    """Make a list for every user with the served model, or go on where a run was ended."""
    settings = Settings()
    if not in_process:
        raise typer.Exit(run_in_child(settings, settings.lists_budget_s + LISTS_GRACE_S))
    console = begin_in_child(settings)
    from training.list_blocks import DONE
    from training.lists import build_lists

    work = build_lists(settings, snapshot, console)
    result = finish(work, failed=FAILED_EXIT, to=console.file, log=settings.spark_log)
    if as_json:
        print(json.dumps(result), flush=True)
    else:
        users = f"{result['written']} users have lists of model {result['model_id'][:12]}"
        print(f"{users}, {result['left_out']} were left out")
    if result["state"] != DONE:
        say(f"the lists are not all made: {result['reason']}", console.file)
        raise typer.Exit(1)
