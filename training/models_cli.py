"""``python -m training models``: list, show, log, compare, promote and rollback."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from connections.documents import open_documents
from connections.model_reports import load_report
from schemas.documents import Decision, Pointer
from schemas.settings import Settings
from training.ending import finish
from training.evaluation_tables import show_evaluation
from training.models import iso

models_cli = typer.Typer(no_args_is_help=True, help="Published and refused models, and what was decided.")
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
Because = Annotated[str | None, typer.Option("--because", help="The reason, kept in `models log`.")]


@models_cli.command("list")
def list_models(as_json: Json = False) -> None:
    """List models, newest first."""
    from training.models import all_models

    found = finish(_with_documents(all_models))
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
def show(
    model_id: str,
    report: Annotated[
        Path | None, typer.Option("--report", help="Write the page about its newest judgement to this file.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Show one model, its evaluation and what was decided; the beginning of the id is enough."""
    from training.decisions import decisions_about
    from training.models import one_model
    from training.report_page import write_page

    async def read(database: Any) -> Any:
        found = await one_model(database, model_id)
        if report is not None:
            write_page(report, await load_report(database, found["_id"]))
        return found | {"decisions": await decisions_about(database, found["_id"], 100)}

    found = finish(_with_documents(read))
    if as_json:
        print(json.dumps(found))
        return
    console = Console()
    for name in ("_id", "state", "reason", "seq", "snapshot_id", "training_id", "rank", "items"):
        console.print(f"{name.lstrip('_'):12} {found.get(name)}", highlight=False)
    show_evaluation(found["metrics"], console)
    console.print(_decision_table(found["decisions"]))
    if report is not None:
        print(f"report: {report.resolve()}")


@models_cli.command()
def log(
    limit: Annotated[int, typer.Option(min=1, help="Newest decisions.")] = 50, as_json: Json = False
) -> None:
    """Show what was decided about models: published, refused, promoted, rolled back, pruned."""
    from training.decisions import decisions_about

    found = finish(_with_documents(lambda database: decisions_about(database, None, limit)))
    if as_json:
        print(json.dumps({"decisions": found}))
        return
    Console().print(_decision_table(found))


@models_cli.command()
def compare(
    first: str,
    second: str,
    users: Annotated[int, typer.Option(min=0, help="Sampled users whose lists are compared.")] = 500,
    as_json: Json = False,
) -> None:
    """Set two models side by side: figures, parameters, snapshots, verdicts, and how far lists agree."""
    from training.comparison import compare_models, comparison_table

    found = finish(compare_models(Settings(), first, second, users))
    if as_json:
        print(json.dumps(found))
        return
    Console().print(comparison_table(found))


@models_cli.command()
def promote(model_id: str, because: Because = None, as_json: Json = False) -> None:
    """Put a published model into service; the beginning of its id is enough."""
    from training.models import promote_model

    _show_pointer(finish(promote_model(Settings(), model_id, because)), as_json)


@models_cli.command()
def rollback(because: Because = None, as_json: Json = False) -> None:
    """Put the model that was published before the served one into service."""
    from training.models import roll_back

    _show_pointer(finish(roll_back(Settings(), because)), as_json)


async def _with_documents(work: Any) -> Any:
    async with open_documents(Settings()) as database:
        return await work(database)


def _show_pointer(pointer: Pointer, as_json: bool) -> None:
    facts = {"model_id": pointer["model_id"], "seq": pointer["seq"]}
    text = f"model {pointer['model_id'][:12]} is in service as number {pointer['seq']}"
    print(json.dumps(facts) if as_json else text)


def _decision_table(decisions: list[Decision]) -> Table:
    table = Table("when", "decided", "model", "number", "reason", "because", "by")
    for one in decisions:
        table.add_row(
            iso(one["at_ms"]), one["kind"], (one["model_id"] or "")[:12], str(one["seq"] or ""),
            one["reason"], one["because"], one["actor"],
        )  # fmt: skip
    return table
