"""The `segue` command."""

import asyncio
import json
import sys
from collections.abc import Callable
from typing import Annotated, Literal

import pydantic
import typer
from rich.console import Console
from rich.table import Table

from schemas.errors import SegueError
from schemas.settings import Settings
from stack.verbs import VERBS, Verb, run_verb, train

app = typer.Typer(
    help="Segue: an event-sourced music recommender with a web player.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
_PASS_ON = {"ignore_unknown_options": True, "allow_extra_args": True, "help_option_names": []}
_Json = Annotated[bool, typer.Option("--json", help="print one JSON object")]


@app.command("up")
def up_command(
    catalogue: Annotated[
        Literal["demo", "none"], typer.Option(help="what to load into an empty catalogue")
    ] = "demo",
) -> None:
    """Start everything and keep it running until Ctrl-C or SIGTERM."""
    from stack.up import up

    raise typer.Exit(up(Settings(), catalogue, Console()))


@app.command()
def doctor(as_json: _Json = False) -> None:
    """Check what this machine has, and print the fix beside each failure."""
    from stack.doctor import examine

    findings = examine(Settings())
    failed = [finding for finding in findings if finding.needed and not finding.ok]
    if as_json:
        rows = [{name: getattr(f, name) for name in f.__slots__} for f in findings]
        print(json.dumps({"ok": not failed, "findings": rows}))
    else:
        table = Table(box=None, pad_edge=False, show_header=False)
        for f in findings:
            mark = "[green]✓[/]" if f.ok else ("[red]✗[/]" if f.needed else "[yellow]-[/]")
            table.add_row(mark, f.name, f.found, "" if f.ok else f"fix: {f.fix}")
        Console().print(table)
    if failed:
        names = ", ".join(finding.name for finding in failed)
        raise SegueError(f"{len(failed)} needed thing(s) are missing: {names}.")


@app.command()
def status(as_json: _Json = False) -> None:
    """Show the running stack: its processes, their state, memory and restarts."""
    from stack.folder import running_state
    from stack.report import rows, status_table

    settings = Settings()
    state = running_state(settings)
    folder = str(settings.data_dir.resolve())
    if state is None:
        if as_json:
            print(
                json.dumps({"running": False, "data_dir": folder, "web": None, "pid": None, "processes": []})
            )
        raise SegueError(f"No stack is running in {folder}: start it with `segue up`.")
    if as_json:
        processes = rows(state["processes"])
        found = {"running": True, "data_dir": folder, "web": state["web"], "pid": state["pid"]}
        print(json.dumps({**found, "processes": processes}))
        return
    console = Console()
    console.print(status_table(state))
    console.print(f"\n{state['web']}  (data folder {folder})", highlight=False)


@app.command()
def topics() -> None:
    """Create the topics and indexes that are missing. `segue up` does so itself."""
    from connections.documents import ensure_indexes, open_documents, wait_until_writable
    from connections.log_topics import ensure_topics

    async def create(settings: Settings) -> str:
        async with open_documents(settings) as database:
            await wait_until_writable(database)
            await ensure_indexes(database)
        return await ensure_topics(settings)

    print(f"The log's generation is {asyncio.run(create(Settings()))}.")


@app.command()
def demo(
    listeners: Annotated[int, typer.Option(min=1, max=1000)] = 20,
    plays: Annotated[int, typer.Option(min=1, max=1_000_000)] = 1000,
    rate: Annotated[float, typer.Option(min=0.1, max=2000, help="plays a second")] = 20.0,
    seed: Annotated[int, typer.Option(min=0)] = 1,
    duration: Annotated[float | None, typer.Option(min=1, help="seconds after which to stop")] = None,
) -> None:
    """Let synthetic listeners with a known taste play through the public API of the running stack."""
    from stack.demo import Demo, listen
    from stack.environment import verb_environment
    from stack.folder import running_state
    from stack.services import web_address

    settings = Settings()
    verb_environment(settings, needs_stack=True)
    state = running_state(settings)
    web = state["web"] if state is not None else web_address(settings)
    listen(settings, Demo(web, listeners, plays, rate, seed, duration), Console())


@app.command("train", context_settings=_PASS_ON, add_help_option=False)
def train_command(context: typer.Context) -> None:
    """Make a snapshot, train on it, pass the gate, publish; print the evaluation."""
    train(Settings(), context.args)


def _command(verb: Verb) -> Callable[[typer.Context], None]:
    def command(context: typer.Context) -> None:
        run_verb(Settings(), verb, context.args)

    command.__doc__ = verb.about
    return command


for _verb in VERBS:
    app.command(_verb.name, context_settings=_PASS_ON, add_help_option=False)(_command(_verb))


def main() -> None:
    """Run the command; an error is one sentence on stderr and exit code 1."""
    try:
        app()
    except SegueError as error:
        sys.exit(_fail(str(error)))
    except pydantic.ValidationError as error:
        first = error.errors()[0]
        name = "SEGUE_" + "_".join(str(part) for part in first["loc"]).upper()
        sys.exit(_fail(f"{name} is {first['input']!r}: {first['msg'].lower()}."))
    except KeyboardInterrupt:
        sys.exit(_fail("stopped"))


def _fail(message: str) -> int:
    print(message, file=sys.stderr)
    return 1


if __name__ == "__main__":
    main()
