"""The small form of `bench growth`, as its user runs it: real Kafka, real worker processes."""

import json
import subprocess
import sys

import pytest

from recommender.encoding import HEADER, ROW
from tests.conftest import ROOT


@pytest.mark.slow
def test_growth_measures_each_case_and_finds_the_states_equal() -> None:
    command = [sys.executable, "-m", "bench", "growth", "--small", "--json"]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)

    found = json.loads(ran.stdout.splitlines()[-1])

    assert found["equal"] is True
    assert [(row["users"], row["interactions"]) for row in found["table"]] == [(50, 5), (500, 20)]
    for row in found["table"]:
        expected = HEADER.size + ROW.size * row["interactions"]
        assert row["history_bytes_per_user"] == expected, "no session is in it yet"
        assert min(row["events_per_s"]) > 0
        assert min(row["restore_s"]) > 0
        assert row["part_bytes"] > 0
