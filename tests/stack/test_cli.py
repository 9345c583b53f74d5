"""The command from outside: exit codes, one sentence on stderr, one JSON object on stdout."""

import json
import os
import socket
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import psutil
import pytest

from schemas.settings import Settings
from stack.folder import ProcessState, StackState, write_state

SEGUE = Path(sys.executable).with_name("segue")


def segue(*arguments: str, folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SEGUE_")}
    environment = {**kept, **unused_ports(), "SEGUE_DATA_DIR": str(folder), "COLUMNS": "200", **variables}
    return subprocess.run(
        [SEGUE, *arguments], env=environment, capture_output=True, text=True, timeout=60, check=False
    )


def unused_ports() -> dict[str, str]:
    names = ("WEB", "WEB_METRICS", "WORKER_METRICS", "KAFKA", "KAFKA_CONTROLLER", "MONGODB")
    with ExitStack() as stack:
        listeners = [stack.enter_context(socket.socket()) for _ in names]
        for listener in listeners:
            listener.bind(("127.0.0.1", 0))
        ports = [listener.getsockname()[1] for listener in listeners]
    return {f"SEGUE_{name}_PORT": str(port) for name, port in zip(names, ports, strict=True)}


def one_sentence(text: str) -> str:
    assert text.count("\n") == 1, text
    return text.strip()


def pretend_running(folder: Path) -> None:
    me = psutil.Process()
    own = ProcessState(
        name="web", pid=me.pid, started_s=me.create_time(), state="ready", restarts=2, last_exit=-9
    )
    gone = ProcessState(name="worker-0", pid=me.pid, started_s=1.0, state="ready", restarts=0, last_exit=None)
    write_state(
        Settings(data_dir=folder),
        StackState(
            pid=me.pid,
            started_s=me.create_time(),
            environment={"SEGUE_KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1"},
            web="http://127.0.0.1:9",
            processes=[own, gone],
        ),
    )


def test_the_help_names_every_verb_of_the_design(tmp_path: Path) -> None:
    ran = segue("--help", folder=tmp_path)
    assert ran.returncode == 0
    for verb in (
        *("up", "doctor", "status", "demo", "import", "etl", "snapshot", "replay", "train", "evaluate"),
        *("models", "verify", "audit", "worker", "web", "trainer", "topics"),
    ):
        assert f"\n  {verb} " in ran.stdout, verb


def test_wrong_usage_is_code_2(tmp_path: Path) -> None:
    assert segue("dance", folder=tmp_path).returncode == 2
    assert segue("up", "--catalogue", "everything", folder=tmp_path).returncode == 2
    assert segue("demo", "--rate", "0", folder=tmp_path).returncode == 2


def test_a_setting_that_is_no_number_is_one_sentence(tmp_path: Path) -> None:
    ran = segue("status", folder=tmp_path, SEGUE_WEB_PORT="eighty")
    assert ran.returncode == 1
    assert one_sentence(ran.stderr).startswith("SEGUE_WEB_PORT is 'eighty': ")


def test_a_taken_port_ends_the_start_with_one_sentence_and_nothing_is_left(tmp_path: Path) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        ran = segue("up", folder=tmp_path, SEGUE_WEB_PORT=str(port))
    assert ran.returncode == 1
    assert f"Port {port} (SEGUE_WEB_PORT) is taken by " in one_sentence(ran.stderr)
    assert ran.stdout == ""
    assert not (tmp_path / "kafka").exists()


def test_a_missing_java_ends_the_start_with_one_sentence(tmp_path: Path) -> None:
    ran = segue("up", folder=tmp_path / "data", JAVA_HOME=str(tmp_path / "no-java"))
    assert ran.returncode == 1
    assert "install Java 17 or later" in one_sentence(ran.stderr)


@pytest.mark.parametrize("verb", ["audit", "snapshot", "train", "models", "demo", "verify", "replay"])
def test_a_verb_that_needs_a_stack_says_that_none_is_running(tmp_path: Path, verb: str) -> None:
    ran = segue(verb, folder=tmp_path)
    assert ran.returncode == 1
    assert one_sentence(ran.stderr).startswith(f"No stack is running in {tmp_path}: start it with `segue up`")


def test_status_of_a_stopped_stack_is_one_object_and_code_1(tmp_path: Path) -> None:
    ran = segue("status", "--json", folder=tmp_path)
    assert ran.returncode == 1
    assert json.loads(ran.stdout) == {
        "running": False,
        "data_dir": str(tmp_path),
        "web": None,
        "pid": None,
        "processes": [],
    }


def test_status_tells_each_process_with_its_memory_and_restarts(tmp_path: Path) -> None:
    pretend_running(tmp_path)
    ran = segue("status", "--json", folder=tmp_path)
    assert ran.returncode == 0, ran.stderr
    found = json.loads(ran.stdout)
    assert found["running"] is True
    web, worker = found["processes"]
    assert (web["name"], web["pid"], web["state"], web["restarts"]) == ("web", os.getpid(), "ready", 2)
    assert web["memory_bytes"] > 10_000_000
    # its number belongs to another process by now
    assert (worker["pid"], worker["state"], worker["memory_bytes"]) == (0, "stopped", 0)
    table = segue("status", folder=tmp_path)
    assert table.returncode == 0
    assert "worker-0" in table.stdout


def test_doctor_prints_a_finding_for_each_thing_and_the_fix_beside_a_failure(tmp_path: Path) -> None:
    ran = segue("doctor", "--json", folder=tmp_path, JAVA_HOME=str(tmp_path / "no-java"))
    assert ran.returncode == 1
    assert one_sentence(ran.stderr).endswith("Java.")
    found = {finding["name"]: finding for finding in json.loads(ran.stdout)["findings"]}
    assert set(found) == {
        *("Python", "Java", "memory", "disk", "ports", "Kafka", "MongoDB"),
        *("browser client", "Node", "Chromium"),
    }
    assert found["Java"]["ok"] is False
    assert "install Java 17" in found["Java"]["fix"]
    text = segue("doctor", folder=tmp_path, JAVA_HOME=str(tmp_path / "no-java")).stdout
    assert "fix: install Java 17" in text


def test_a_program_runs_with_the_environment_of_the_running_stack(tmp_path: Path) -> None:
    pretend_running(tmp_path)
    ran = segue("etl", "--help", folder=tmp_path)
    assert ran.returncode == 0, ran.stderr
    assert "run" in ran.stdout
