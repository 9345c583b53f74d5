"""What happens once in a new demo folder: the tracks are made, and listeners give them a history."""

import asyncio
import json
import sys
from pathlib import Path

from connections.documents import open_documents
from schemas import documents
from schemas.errors import MissingRequirement
from schemas.settings import Settings
from stack.child import Child, Program
from stack.environment import stack_environment
from stack.supervisor import stop_child

_CATALOGUE_WITHIN_S = 600.0
LISTENERS = 60
PLAYS = 3000
RATE = 150


async def load_demo_catalogue(settings: Settings) -> None:
    """Make the demo tracks and load them.

    Raises
    ------
    MissingRequirement
        The program failed; the message holds the end of its log.
    """
    child = _start(settings, "catalogue", "etl", "demo")
    code = await _ended(child, _CATALOGUE_WITHIN_S)
    if code != 0:
        raise MissingRequirement(
            f"The demo catalogue could not be made (code {code}); "
            f"the end of {child.program.log_file}:\n{child.last_lines()}"
        )


async def wants_history(settings: Settings) -> bool:
    """Return whether this is a demo folder that has no history yet."""
    if _marker(settings).exists():
        return False
    async with open_documents(settings) as database:
        return await database[documents.TRACKS.name].find_one({"source": "demo"}) is not None


async def first_history(settings: Settings, web: str) -> int:
    """Let the demo listeners play, then ask for a snapshot; return the first exit code that is not 0.

    Killed half way it is run again at the next start: the listeners repeat themselves word for word,
    so what the log already holds has no second effect.
    """
    command = ("stack.demo", "--web", web, "--listeners", str(LISTENERS), "--plays", str(PLAYS))
    code = await _ended(_start(settings, "demo", *command, "--rate", str(RATE), "--run", "history"))
    if code == 0:
        code = await _ended(_start(settings, "first-snapshot", "agents", "snapshot"))
    if code == 0:
        _marker(settings).write_text(json.dumps({"listeners": LISTENERS, "plays": PLAYS}), encoding="utf-8")
    return code


def _marker(settings: Settings) -> Path:
    return settings.data_dir.resolve() / "demo-history.json"


def _start(settings: Settings, name: str, *arguments: str) -> Child:
    return Child(
        Program(
            name=name,
            command=(sys.executable, "-m", *arguments),
            log_file=settings.data_dir.resolve() / "logs" / f"{name}.log",
            environment=stack_environment(settings),
        )
    )


async def _ended(child: Child, within_s: float = 1800.0) -> int:
    try:
        async with asyncio.timeout(within_s):
            while (code := child.exit_code()) is None:
                await asyncio.sleep(0.1)
            return code
    except TimeoutError:
        return child.kill()
    finally:
        await stop_child(child)
