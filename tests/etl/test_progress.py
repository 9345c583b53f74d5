"""What a long command says on the way: where it is, how fast, how long still."""

import pytest

from etl.progress import Meter, meter


@pytest.mark.parametrize(
    ("steps", "seconds", "line"),
    [
        (0, 5.0, "clips: 0 of 8,000 (0/s)"),
        (1_000, 50.0, "clips: 1,000 of 8,000 (20/s, 6 min left)"),
        (7_900, 100.0, "clips: 7,900 of 8,000 (79/s, 1 s left)"),
        (1, 60.0, "clips: 1 of 8,000 (0/s, 133.3 h left)"),
        (8_000, 10.0, "clips: 8,000 of 8,000 (800/s, 0 s left)"),
    ],
)
def test_steps_have_a_rate_and_a_time_left(steps: int, seconds: float, line: str) -> None:
    counted = Meter("clips", 8_000, None)
    for _ in range(steps):
        counted.advance()
    assert counted.line(seconds) == line


def test_bytes_are_said_in_their_units() -> None:
    counted = Meter("a.zip", 7_679_594_875, None, in_bytes=True)
    counted.advance(64 * 1024**2)
    assert counted.line(2.0) == "a.zip: 64.0 MiB of 7.2 GiB (32.0 MiB/s, 4 min left)"


def test_what_was_there_before_is_no_rate() -> None:
    counted = Meter("a.zip", 4 * 1024**2, None, in_bytes=True)
    counted.stand_at(3 * 1024**2)
    assert counted.line(10.0) == "a.zip: 3.0 MiB of 4.0 MiB (0 B/s)"
    counted.advance(512 * 1024)
    assert counted.line(1.0) == "a.zip: 3.5 MiB of 4.0 MiB (512.0 KiB/s, 1 s left)"
    counted.stand_at(0, 2 * 1024**2)
    assert counted.line(1.0) == "a.zip: 0 B of 2.0 MiB (512.0 KiB/s, 4 s left)"


def test_without_a_total_there_is_no_time_left() -> None:
    counted = Meter("rows", None, None)
    counted.advance(30)
    assert counted.line(3.0) == "rows: 30 (10/s)"


def test_a_short_task_says_nothing_outside_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with meter("clips", 10) as progress:
        progress.advance(10)
    assert capsys.readouterr().err == ""
