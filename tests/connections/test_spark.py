"""Spark's folders, without Spark."""

import os
import subprocess
import sys
from pathlib import Path

from connections.spark import own_folder

ROOT = Path(__file__).resolve().parents[2]
_HELD = (
    "import sys, time; from pathlib import Path; from connections.spark import own_folder\n"
    "print(own_folder(Path(sys.argv[1]), 'training')[0], flush=True); time.sleep(600)"
)


def test_the_folder_of_a_killed_program_goes_and_that_of_a_living_one_stays(tmp_path: Path) -> None:
    command = [sys.executable, "-c", _HELD, str(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as other:
        try:
            assert other.stdout is not None
            theirs = Path(other.stdout.readline().strip())
            other_name, half_removed = tmp_path / "etl-1", tmp_path / "training-1"
            other_name.mkdir()
            half_removed.mkdir()
            first, held = own_folder(tmp_path, "training")
            assert set(tmp_path.iterdir()) == {theirs, other_name, first}
        finally:
            other.kill()
    second, also_held = own_folder(tmp_path, "training")
    assert set(tmp_path.iterdir()) == {other_name, first, second}
    os.close(held)
    os.close(also_held)
