"""``python -m training``, which kills itself at a stage that an observer outside cannot hit.

    python -m tests.faults.killed_training STAGE NUMBER LEARNED ARGUMENTS...

STAGE is ``writing`` (after NUMBER documents of the model), ``before the pointer`` or ``after the pointer``.
LEARNED is a file: what the first of them has learned in Spark is kept there, and the next ones publish it.
``-`` lets each learn for itself.
"""

import os
import pickle
import signal
import sys
from pathlib import Path
from typing import Any

from connections import model_store
from training import pipeline, publication
from training.cli import cli

WRITING, BEFORE, AFTER = "writing", "before the pointer", "after the pointer"


def _killed() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def arm(stage: str, number: int) -> None:
    """Set the trap."""
    move, write, written = publication.move_pointer, model_store.replace, [0]

    async def killed_move(*given: Any) -> bool:
        if stage == AFTER:
            await move(*given)
        _killed()
        return False

    async def counted_write(*given: Any) -> None:
        if written[0] == number:
            _killed()
        written[0] += 1
        await write(*given)

    if stage == WRITING:
        model_store.replace = counted_write
    else:
        publication.move_pointer = killed_move


def learn_once(kept: Path) -> None:
    """Take what was learned from a file, else learn and leave it there."""
    learn = pipeline.in_spark

    async def learned(*given: Any, **named: Any) -> Any:
        if not kept.exists():
            kept.write_bytes(pickle.dumps(await learn(*given, **named)))
        return pickle.loads(kept.read_bytes())

    pipeline.in_spark = learned


if __name__ == "__main__":
    arm(sys.argv[1], int(sys.argv[2]))
    if sys.argv[3] != "-":
        learn_once(Path(sys.argv[3]))
    sys.argv[1:] = sys.argv[4:]
    cli(prog_name="python -m training")
