"""The data folder of one world: who runs in it, and what an earlier run left behind."""

import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypedDict, cast

from schemas.errors import InvalidInput, MissingRequirement
from schemas.settings import Settings
from stack.child import end_orphan, start_time

LEAST_FREE_BYTES = 1024**3


class ProcessState(TypedDict):
    """One process as it stands in the state file."""

    name: str
    pid: int
    started_s: float  # seconds since 1970; 0 when it does not run
    state: str  # starting, ready, waiting, stopped
    restarts: int
    last_exit: int | None


class StackState(TypedDict):
    """``run/stack.json``: how other commands find the running stack."""

    pid: int
    started_s: float
    environment: dict[str, str]
    web: str
    processes: list[ProcessState]


def state_file(settings: Settings) -> Path:
    """Return where the running stack describes itself."""
    return settings.data_dir.resolve() / "run" / "stack.json"


def read_state(settings: Settings) -> StackState | None:
    """Return what the last stack wrote, or None when there was none or its file is damaged."""
    try:
        found: Any = json.loads(state_file(settings).read_text(encoding="utf-8"))
        return cast(StackState, {name: found[name] for name in StackState.__annotations__})
    except (OSError, ValueError, KeyError, TypeError):
        return None


def write_state(settings: Settings, state: StackState) -> None:
    """Replace the state file at once. It can hold a database's password: for the owner's eyes."""
    path = state_file(settings)
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_suffix(".new")
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(state, file, indent=1)
    os.replace(aside, path)


def running_state(settings: Settings) -> StackState | None:
    """Return the state of the stack that runs in the folder now; None when none does."""
    state = read_state(settings)
    if state is None or state["started_s"] <= 0:
        return None
    return state if abs(start_time(state["pid"]) - state["started_s"]) < 0.5 else None


@contextmanager
def occupied(settings: Settings) -> Iterator[None]:
    """Hold the folder while the block runs; the kernel lets go of it when this process ends.

    Raises
    ------
    InvalidInput
        The folder cannot be written, or another stack runs in it.
    MissingRequirement
        Less than 1 GiB is free.
    """
    folder = settings.data_dir.resolve()
    try:
        (folder / "run").mkdir(parents=True, exist_ok=True)
        lock = (folder / "run" / "lock").open("a+")
    except OSError as error:
        raise InvalidInput(f"SEGUE_DATA_DIR {folder} cannot be used: {error.strerror}.") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise InvalidInput(_in_use(settings)) from error
        check_disk(folder)
        yield


def check_disk(folder: Path) -> None:
    """Return when at least 1 GiB is free for ``folder``.

    Raises
    ------
    MissingRequirement
        Less is free.
    """
    free = shutil.disk_usage(folder).free
    if free < LEAST_FREE_BYTES:
        raise MissingRequirement(
            f"Only {free / 1024**2:.0f} MiB are free on the disk of {folder}, and 1 GiB is needed: "
            "free some, or set SEGUE_DATA_DIR to a folder on another disk."
        )


def end_orphans(settings: Settings) -> list[str]:
    """End what an earlier stack of this folder left running; return the names, last started first."""
    state = read_state(settings)
    if state is None:
        return []
    return [
        process["name"]
        for process in reversed(state["processes"])
        if end_orphan(process["pid"], process["started_s"])
    ]


def _in_use(settings: Settings) -> str:
    state = running_state(settings)
    who = f"the stack with pid {state['pid']} ({state['web']})" if state else "another stack"
    return (
        f"The data folder {settings.data_dir.resolve()} is in use by {who}: "
        "stop it, or set SEGUE_DATA_DIR to another folder."
    )
