"""Verbs of the programs: `segue VERB ...` runs the program's module in the environment of the stack."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from schemas.errors import SegueError
from schemas.settings import Settings
from stack.environment import verb_environment

_HELP = ("--help", "-h")


@dataclass(frozen=True, slots=True)
class Verb:
    """Where a verb goes.

    Attributes
    ----------
    arguments : of ``python -m``, before those that were given
    needs_stack : whether Kafka and MongoDB must be known
    alone : first arguments with which they need not
    """

    name: str
    arguments: tuple[str, ...]
    about: str
    needs_stack: bool = True
    alone: frozenset[str] = frozenset()


VERBS = (
    Verb("import", ("etl", "import"), "Import listening histories: segue import hetrec DIR."),
    Verb("etl", ("etl",), "Load tracks and their audio features: segue etl run --metadata DIR --audio DIR."),
    Verb(
        "data",
        ("etl", "data"),
        "Get the archives of FMA, add own music, verify what is loaded: segue data get metadata.",
        alone=frozenset({"get"}),
    ),
    Verb("snapshot", ("agents", "snapshot"), "Ask for a snapshot now and wait for it."),
    Verb("replay", ("agents", "replay"), "Fold the log into a complete snapshot, without any worker."),
    Verb("evaluate", ("training", "evaluate"), "Judge the served model on the newest snapshot."),
    Verb("models", ("training", "models"), "list, show, log, compare, promote or rollback models."),
    Verb("lists", ("training", "lists"), "build: make a list for every user, or go on making them."),
    Verb("verify", ("agents", "verify"), "Refold the log below a snapshot's cut and compare the hashes."),
    Verb("audit", ("agents", "audit"), "Count what became of every record of the log."),
    Verb("worker", ("agents", "worker"), "Run one worker in the foreground.", needs_stack=False),
    Verb("trainer", ("training", "trainer"), "Run the trainer in the foreground.", needs_stack=False),
    Verb("web", ("frontend",), "Run the web server in the foreground.", needs_stack=False),
)


def run_verb(settings: Settings, verb: Verb, given: Sequence[str]) -> None:
    """Become the program: its output, signals and exit code are the command's own.

    Raises
    ------
    InvalidInput
        The verb needs a running stack and there is none.
    """
    alone = any(argument in _HELP for argument in given) or (bool(given) and given[0] in verb.alone)
    needs_stack = verb.needs_stack and not alone
    environment = verb_environment(settings, needs_stack=needs_stack)
    command = [sys.executable, "-m", *verb.arguments, *given]
    sys.stdout.flush()
    os.execve(sys.executable, command, environment)


def train(settings: Settings, given: Sequence[str]) -> None:
    """Make a snapshot and become the training on it.

    Raises
    ------
    InvalidInput
        No stack is running.
    SegueError
        The snapshot failed; its own message went to stderr.
    """
    asked = any(argument in _HELP or argument.partition("=")[0] == "--snapshot" for argument in given)
    environment = verb_environment(settings, needs_stack=not any(argument in _HELP for argument in given))
    chosen: list[str] = []
    if not asked:
        chosen = ["--snapshot", _snapshot(environment)]
    command = [sys.executable, "-m", "training", "train", *chosen, *given]
    sys.stdout.flush()
    os.execve(sys.executable, command, environment)


def _snapshot(environment: dict[str, str]) -> str:
    command = [sys.executable, "-m", "agents", "snapshot", "--json"]
    ran = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=False)
    try:
        if ran.returncode == 0:
            return str(json.loads(ran.stdout.strip().splitlines()[-1])["snapshot_id"])
    except (ValueError, KeyError, IndexError):
        pass
    raise SegueError(f"The snapshot failed (code {ran.returncode}): nothing was trained.")
