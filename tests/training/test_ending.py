"""How commands end when something goes wrong that nobody foresaw."""

import io
import signal
import sys
from pathlib import Path

import pytest
import typer

from schemas.errors import InvalidModel, Unavailable
from schemas.settings import Settings
from training import child_command
from training.child_command import run_in_child
from training.ending import finish


async def _raise(error: Exception) -> None:
    raise error


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (InvalidModel("too few users"), 4, "segue: too few users\n"),
        (Unavailable("Kafka is away"), 3, "segue: Kafka is away\n"),
        (
            ValueError("Seed must be >= 0"),
            3,
            "segue: unexpected ValueError: Seed must be >= 0; see the.log\n",
        ),
    ],
)
def test_every_end_has_a_sentence_and_a_code(
    error: Exception, code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    out = io.StringIO()
    with pytest.raises(typer.Exit) as ended:
        finish(_raise(error), refused=4, failed=3, to=out, log=Path("the.log"))
    assert (ended.value.exit_code, out.getvalue()) == (code, said)
    trace = capsys.readouterr().err
    assert ("Traceback" in trace) is isinstance(error, ValueError), "a defect leaves its trace in the log"


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (-signal.SIGKILL, "was ended by SIGKILL: was memory short? See"),
        (77, "ended with code 77; see"),
        (3, ""),
    ],
)
def test_a_child_that_could_not_say_why_it_ended_is_spoken_for(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    code: int,
    said: str,
) -> None:
    async def ended(*_: object, **__: object) -> int:
        return code

    monkeypatch.setattr(child_command, "run_child", ended)
    monkeypatch.setattr(sys, "argv", ["training", "train"])
    assert run_in_child(Settings(data_dir=tmp_path), 10.0) == 1
    told = capsys.readouterr().err
    assert said in told
    assert bool(told) is bool(said)
