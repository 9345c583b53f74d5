"""A program that extracts on Spark, for ``test_spark_engine``: it has the one Spark of its process."""

import os
import pickle
import signal
import sys
import threading
from pathlib import Path
from typing import Any

import psutil

from etl.pool import ClipFile
from etl.spark_engine import spark_engine
from schemas.errors import SegueError
from schemas.settings import Settings


def main(folder: Path) -> None:
    """Extract once in peace, once interrupted and once with a virtual machine that is killed."""
    settings = Settings(data_dir=folder / "data", spark_master="local[2]")
    files: list[ClipFile] = pickle.loads((folder / "files").read_bytes())
    found: dict[str, Any] = {}
    with spark_engine(settings) as engine:
        assert not machines(), "Spark runs before there is a file"
        assert list(engine(iter([]))) == []
        found["outcomes"] = list(engine(iter(files)))
        outcomes = engine(file for _ in range(1_000) for file in files)
        next(outcomes)
        threading.Timer(0.1, outcomes.interrupt).start()
        found["interrupted"] = sentence(outcomes)
        outcomes.close()
        found["after"] = len(list(engine(iter(files[:1]))))
        found["ran"] = [process.pid for process in psutil.Process().children(recursive=True)]
    found["left"] = [process.name() for process in running(found["ran"])]
    with spark_engine(settings) as engine:
        outcomes = engine(file for _ in range(1_000) for file in files)
        next(outcomes)
        [machine] = machines()
        os.kill(machine.pid, signal.SIGKILL)
        found["killed"] = sentence(outcomes)
    found["left"] += [process.name() for process in running(found["ran"])]
    (folder / "found").write_bytes(pickle.dumps(found))


def sentence(outcomes: Any) -> str:
    """Return what the error says that ends the outcomes."""
    try:
        for _ in outcomes:
            pass
    except SegueError as error:
        return f"{type(error).__name__}: {error}"
    return "no error"


def machines() -> list[psutil.Process]:
    return [process for process in psutil.Process().children() if process.name() == "java"]


def running(pids: list[int]) -> list[psutil.Process]:
    """Return those that still run, after a moment in which they may see that their parents have gone."""
    processes = [psutil.Process(pid) for pid in pids if psutil.pid_exists(pid)]
    _, alive = psutil.wait_procs(processes, timeout=10.0)
    return [process for process in alive if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]


if __name__ == "__main__":
    main(Path(sys.argv[1]))
