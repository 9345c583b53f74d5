"""What the fault rows counted: one line per round in a file, added up over runs, and the table of it.

``make faults`` may be interrupted and started again: each round that ended is in the file, and the next one
of its row takes the next seed.
"""

import json
import os
import subprocess
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
LONG = "SEGUE_FAULT_ROUNDS" in os.environ
"""Whether this is ``make faults``; else each row is played once, with one fault."""
ROUNDS = int(os.environ.get("SEGUE_FAULT_ROUNDS", "1"))
FIRST_SEED = int(os.environ.get("SEGUE_FAULT_SEED", "1"))
FILE = Path(os.environ.get("SEGUE_FAULT_FILE", ROOT / ".cache" / "faults.jsonl"))


@dataclass
class Tally:
    """What one round of a row counted; times in seconds."""

    row: str
    what: str
    seed: int
    sent: int = 0
    acknowledged: int = 0
    applied: int = 0
    duplicates: int = 0
    late: int = 0
    dead: int = 0
    lost: int = 0
    double: int = 0
    kills: int = 0
    recovery_s: list[float] = field(default_factory=list)
    notes: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        counts = ", ".join(
            f"{name} {getattr(self, name)}"
            for name in ("sent", "acknowledged", "applied", "duplicates", "late", "dead", "lost", "double")
        )
        times = " ".join(f"{seconds:.1f}" for seconds in self.recovery_s) or "-"
        notes = "".join(f", {name} {value}" for name, value in self.notes.items())
        return (
            f"{self.row} {self.what}, {self.kills}x: {counts}, recovery [s] {times}{notes}, seed {self.seed}"
        )


class Ledger:
    """The rounds of this run and, in the long form, of all runs before it.

    Parameters
    ----------
    file : where rounds are kept, one JSON object a line; None keeps them for this run only
    """

    def __init__(self, file: Path | None) -> None:
        self._file = file
        self._begun: list[tuple[str, int]] = []
        self.rounds: list[dict[str, Any]] = []
        if file is not None and file.exists():
            self.rounds = [json.loads(line) for line in file.read_text().splitlines()]

    def next_seed(self, row: str) -> int:
        """Return a seed that no earlier round of this row had."""
        seed = FIRST_SEED + sum(one["row"] == row for one in self.rounds)
        self._begun.append((row, seed))
        return seed

    def close(self) -> None:
        """Keep the rounds that were begun and not noted as such: a failure is counted too."""
        for row, seed in list(self._begun):
            self.note(Tally(row, "did not end", seed, notes={"failed": True}))

    def note(self, tally: Tally) -> None:
        """Print a round and keep it, whatever it counted."""
        print(tally)
        self._begun = [begun for begun in self._begun if begun != (tally.row, tally.seed)]
        one = asdict(tally)
        self.rounds.append(one)
        if self._file is not None:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            with self._file.open("a") as file:
                file.write(json.dumps(one | {"code": _code()}) + "\n")

    def table(self) -> list[str]:
        """Return the lines of the table: a line per row, then all of them together."""
        if not self.rounds:
            return []
        lines = [
            f"{'row':<8}{'rounds':>7}{'N':>9}{'K':>5}{'lost':>6}{'double':>7}"
            f"{'late':>7}{'dead':>7}  {'recovery p50/p95/max [s]':<26}what"
        ]
        for row in sorted({one["row"] for one in self.rounds}, key=_place):
            some = [one for one in self.rounds if one["row"] == row]
            failed = sum("failed" in one["notes"] for one in some)
            lines.append(_line(row, some, some[-1]["what"] + (f" ({failed} did not end)" if failed else "")))
        lines.append(_line("all", self.rounds, ""))
        return lines


def _line(row: str, rounds: Sequence[dict[str, Any]], what: str) -> str:
    def total(name: str) -> int:
        return sum(int(one[name]) for one in rounds)

    times = sorted(seconds for one in rounds for seconds in one["recovery_s"]) if what else []
    spread = f"{_at(times, 0.5):.1f} / {_at(times, 0.95):.1f} / {times[-1]:.1f}" if times else "-"
    return (
        f"{row:<8}{len(rounds):>7}{total('acknowledged'):>9}{total('kills'):>5}{total('lost'):>6}"
        f"{total('double'):>7}{total('late'):>7}{total('dead'):>7}  {spread:<26}{what}"
    )


def _at(ascending: Sequence[float], share: float) -> float:
    return ascending[min(len(ascending) - 1, int(share * len(ascending)))]


def _place(row: str) -> tuple[int, str]:
    digits = "".join(letter for letter in row if letter.isdigit())
    return (int(digits or 0), row)


def _code() -> str:
    asked = ("git", "describe", "--always", "--dirty")
    ran = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=False)
    return ran.stdout.strip()


def main() -> None:
    """Print the table of all rounds so far."""
    print("\n".join(Ledger(FILE).table()) or f"no rounds yet in {FILE}: run `make faults`")


if __name__ == "__main__":
    main()
