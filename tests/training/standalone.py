"""A standalone Spark cluster on loopback: a master and workers as processes of their own."""

import json
import os
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyspark

from stack.java import find_java
from stack.ports import free_ports
from tests.programs import QUICK_JAVA

_SPARK = Path(pyspark.__file__).parent
_DEPLOY = "org.apache.spark.deploy"


@contextmanager
def standalone_cluster(folder: Path, workers: int = 2, hung_after_s: float = 300.0) -> Iterator[str]:
    """Yield the address of a master with so many workers of one core each; end them afterwards."""
    port, page = free_ports(2)
    address = f"spark://127.0.0.1:{port}"
    started = []
    try:
        master = ("--host", "127.0.0.1", "--port", str(port), "--webui-port", str(page))
        started.append(_start(folder, "master", f"{_DEPLOY}.master.Master", *master))
        given = ("--host", "127.0.0.1", "--webui-port", "0", "--cores", "1", "--memory", "1g")
        for number in range(workers):
            work = folder / f"work-{number}"
            options = (*given, "--work-dir", str(work), address)
            started.append(_start(folder, f"worker-{number}", f"{_DEPLOY}.worker.Worker", *options))
        until = time.monotonic() + hung_after_s
        while _alive(page) < workers:
            assert time.monotonic() < until, [log.read_text()[-2_000:] for log in folder.glob("*.log")]
            time.sleep(0.2)
        yield address
    finally:
        for process in reversed(started):
            process.terminate()
        for process in started:
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _start(folder: Path, name: str, program: str, *given: str) -> "subprocess.Popen[bytes]":
    """Start what ``spark-class`` would, without a virtual machine that only writes the command line."""
    folder.mkdir(parents=True, exist_ok=True)
    command = [str(find_java().command), "-Xmx256m", "-cp", str(_SPARK / "jars" / "*"), program, *given]
    environment = os.environ | QUICK_JAVA | {
        "SPARK_HOME": str(_SPARK), "SPARK_SCALA_VERSION": "2.13", "SPARK_LOCAL_IP": "127.0.0.1",
    }  # fmt: skip
    with (folder / f"{name}.log").open("wb") as log:
        return subprocess.Popen(command, env=environment, stdout=log, stderr=log)


def _alive(page: int) -> int:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{page}/json/", timeout=5) as answer:
            return int(json.load(answer)["aliveworkers"])
    except OSError:
        return 0
