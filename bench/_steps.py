"""Seconds and memory of each step that a program names on stderr while it runs."""

import re
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from training.child import resident_bytes

_STEP = re.compile(r"\[\d+/\d+\]\s+[\d.]+ s  (?P<name>.+)")
_LOOK_S = 0.2


@dataclass
class Step:
    """One step; ``peak_mib``: most resident memory of the program and all its children, added up."""

    name: str
    began_s: float
    seconds: float = 0.0
    peak_mib: float = 0.0


@dataclass
class Run:
    """What a run of a program came to."""

    exit_code: int = 0
    out: str = ""
    said: list[str] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)


def run_and_watch(command: Sequence[str], environment: Mapping[str, str], first: str) -> Run:
    """Run a program to its end.

    Parameters
    ----------
    first : name of the step before the first that the program names: its start
    """
    run = Run(steps=[Step(first, time.monotonic())])
    process = subprocess.Popen(
        command, env=dict(environment), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    readers = [
        threading.Thread(target=_listen, args=(process, run)),
        threading.Thread(target=_keep, args=(process, run)),
    ]
    for reader in readers:
        reader.start()
    while process.poll() is None:
        step = run.steps[-1]
        step.peak_mib = max(step.peak_mib, resident_bytes(process.pid) / 2**20)
        time.sleep(_LOOK_S)
    for reader in readers:
        reader.join()
    run.exit_code = process.returncode
    ends = [step.began_s for step in run.steps[1:]] + [time.monotonic()]
    for step, end in zip(run.steps, ends, strict=True):
        step.seconds = end - step.began_s
    return run


def _listen(process: "subprocess.Popen[str]", run: Run) -> None:
    assert process.stderr is not None
    for line in process.stderr:
        run.said.append(line.rstrip("\n"))
        found = _STEP.match(line)
        if found and found["name"] != run.steps[-1].name:
            print(run.said[-1], file=sys.stderr, flush=True)
            run.steps.append(Step(found["name"], time.monotonic()))


def _keep(process: "subprocess.Popen[str]", run: Run) -> None:
    assert process.stdout is not None
    run.out = process.stdout.read()
