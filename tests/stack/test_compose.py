"""docker-compose.yml without an engine: its structure, its settings, and each service's own command."""

import os
import re
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from schemas.settings import Settings

ROOT = Path(__file__).resolve().parent.parent.parent
COMPOSE = ROOT / "docker-compose.yml"
SERVICES = {"kafka", "mongo", "topics", "agents", "trainer", "frontend"}
OURS = SERVICES - {"kafka", "mongo"}
SEGUE = Path(sys.executable).with_name("segue")


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))
    return found


def plain(value: str) -> str:
    """Return what Compose makes of a value when nothing is set: the default of ``${NAME:-default}``."""
    return re.sub(r"\$\{\w+:?-([^}]*)\}", r"\1", value)


def test_the_services_are_those_of_the_design(compose: dict[str, Any]) -> None:
    assert set(compose["services"]) == SERVICES
    allowed = {
        *("image", "build", "restart", "depends_on", "volumes", "command"),
        *("environment", "healthcheck", "ports", "stop_grace_period"),
    }
    for name, service in compose["services"].items():
        assert set(service) <= allowed, name
        assert ":" in service["image"], f"{name} has no tag"
        for volume in service.get("volumes", []):
            assert volume.partition(":")[0] in compose["volumes"], name
        for other, condition in service.get("depends_on", {}).items():
            assert other in SERVICES
            assert condition["condition"] in ("service_healthy", "service_completed_successfully")


def test_only_the_web_port_is_published(compose: dict[str, Any]) -> None:
    published = {name: s["ports"] for name, s in compose["services"].items() if "ports" in s}
    assert list(published) == ["frontend"]
    assert [plain(port) for port in published["frontend"]] == ["8080:8080"]


def test_every_service_that_stays_has_a_health_check(compose: dict[str, Any]) -> None:
    for name in SERVICES - {"topics"}:
        check = compose["services"][name]["healthcheck"]
        assert check["test"][0] == "CMD", name
        assert {"interval", "timeout", "retries"} <= set(check), name


def test_every_variable_is_a_setting_with_a_value_that_it_takes(
    compose: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    known = {f"SEGUE_{name.upper()}" for name in Settings.model_fields}
    for name in OURS:
        environment = compose["services"][name]["environment"]
        assert set(environment) <= known, name
        with monkeypatch.context() as patch:
            for variable, value in environment.items():
                patch.setenv(variable, "k" * 32 if variable == "SEGUE_SECRET_KEY" else plain(str(value)))
            settings = Settings()
        assert settings.kafka_address == "kafka:9092"
        assert settings.mongodb_address.startswith("mongodb://mongo:27017/")


def test_the_secret_comes_from_the_environment_alone(compose: dict[str, Any]) -> None:
    environment = compose["services"]["frontend"]["environment"]
    assert environment["SEGUE_SECRET_KEY"].startswith("${SEGUE_SECRET_KEY:?")
    assert "password" not in COMPOSE.read_text(encoding="utf-8").lower()


def test_compose_itself_accepts_the_file() -> None:
    command = shutil.which("docker-compose")
    if command is None:
        pytest.skip("docker-compose is not on PATH")
    environment = {**os.environ, "SEGUE_SECRET_KEY": "k"}
    ran = subprocess.run(
        [command, "-f", str(COMPOSE), "config"], env=environment, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    assert set(yaml.safe_load(ran.stdout)["services"]) == SERVICES
    del environment["SEGUE_SECRET_KEY"]
    refused = subprocess.run(
        [command, "-f", str(COMPOSE), "config"], env=environment, capture_output=True, text=True, check=False
    )
    assert refused.returncode != 0
    assert "set SEGUE_SECRET_KEY" in refused.stderr


def test_the_image_is_built_from_files_that_exist() -> None:
    lines = (ROOT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ").splitlines()
    copied = [
        name
        for line in lines
        if line.startswith("COPY ") and "--from" not in line
        for name in line.split()[1:-1]
    ]
    assert copied
    assert [name for name in copied if not list(ROOT.glob(name))] == []
    assert any(line.startswith("USER segue") for line in lines)


def test_each_command_of_ours_starts_against_a_real_log(
    compose: dict[str, Any], settings: Settings, unused_port: Callable[[], int], tmp_path: Path
) -> None:
    web, metrics, worker = unused_port(), unused_port(), unused_port()
    environment = {
        **os.environ,
        "PATH": f"{SEGUE.parent}{os.pathsep}{os.environ['PATH']}",
        "SEGUE_DATA_DIR": str(tmp_path),
        "SEGUE_KAFKA_BOOTSTRAP_SERVERS": settings.kafka_address,
        "SEGUE_MONGODB_URL": settings.mongodb_address,
        "SEGUE_MONGODB_DATABASE": settings.mongodb_database,
        "SEGUE_TOPIC_PREFIX": settings.topic_prefix,
        "SEGUE_WEB_PORT": str(web),
        "SEGUE_WEB_METRICS_PORT": str(metrics),
        "SEGUE_WORKER_METRICS_PORT": str(worker),
    }
    commands = {name: compose["services"][name]["command"] for name in OURS}
    once = subprocess.run(
        commands["topics"], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert once.returncode == 0, once.stderr
    running = {}
    try:
        for name in ("agents", "trainer", "frontend"):
            command = [word.replace("$$", "$") for word in commands[name]]
            with (tmp_path / f"{name}.log").open("wb") as log:
                running[name] = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        for url in (f"http://127.0.0.1:{worker}/metrics", f"http://127.0.0.1:{web}/readyz"):
            assert answered(url), logs(tmp_path)
        assert [name for name, process in running.items() if process.poll() is not None] == []
        for process in running.values():
            process.terminate()
        codes = {name: process.wait(20) for name, process in running.items()}
        assert codes == dict.fromkeys(running, 0), logs(tmp_path)
    finally:
        for process in running.values():
            process.kill()
            process.wait()


def answered(url: str, within_s: float = 60.0) -> bool:
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(url, timeout=5) as response:
                if response.status == 200:
                    return True
        except OSError:
            pass
        time.sleep(0.1)
    return False


def logs(folder: Path) -> str:
    return "\n".join(f"{path.name}:\n{path.read_text()[-2000:]}" for path in sorted(folder.glob("*.log")))
