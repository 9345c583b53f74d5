"""What the rows counted is kept, failures too."""

from pathlib import Path

from tests.faults.ledger import Ledger, Tally


def test_a_round_that_failed_before_it_was_counted_stands_in_the_table(tmp_path: Path) -> None:
    file = tmp_path / "faults.jsonl"
    ledger = Ledger(file)
    ledger.note(Tally("F1", "killed", ledger.next_seed("F1"), acknowledged=100, kills=5))
    broken = ledger.next_seed("F1")
    ledger.close()
    ledger.close()

    again = Ledger(file)
    assert [one["seed"] for one in again.rounds] == [broken - 1, broken]
    [_, line, _] = again.table()
    assert line.split()[:4] == ["F1", "2", "100", "5"]
    assert line.endswith("did not end (1 did not end)")
