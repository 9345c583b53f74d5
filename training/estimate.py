"""How long a training will still take, from how long each step of the last one took."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from connections.documents import Database, answered
from schemas.documents import JOBS


@dataclass
class Estimate:
    """Seconds of each step: expected from the last training, and as they go by.

    Attributes
    ----------
    size : what the time grows with, the applied events of the snapshot
    expected_s : of each step, empty where no training of as many steps has been done
    step_s : of the steps that are over
    """

    size: int
    expected_s: Sequence[float] = ()
    step_s: list[float] = field(default_factory=list)

    @classmethod
    async def of_last(cls, database: Database, kind: str, steps: int, size: int) -> "Estimate":
        """Return the estimate by the newest job of that kind that was done, scaled by size.

        Raises
        ------
        DocumentsUnavailable
            MongoDB did not answer.
        """
        done = {"kind": kind, "state": "done", "total": steps, "step_s": {"$size": steps}}
        found = await answered(
            database[JOBS.name].find_one(done, sort=[("updated_ms", -1)]), "reading the last training"
        )
        return cls(size) if found is None else cls(size, scaled(found["step_s"], found["size"], size))

    def left_s(self, into_step_s: float) -> float | None:
        """Return the seconds that are expected to be left, None without an expectation.

        Parameters
        ----------
        into_step_s : seconds since the step that runs began
        """
        at = len(self.step_s)
        if at >= len(self.expected_s):
            return None
        return max(0.0, self.expected_s[at] - into_step_s) + sum(self.expected_s[at + 1 :])

    def as_dict(self, into_step_s: float) -> dict[str, Any]:
        """Return what a job's document holds of it."""
        left_s = self.left_s(into_step_s)
        return {
            "size": self.size,
            "step_s": [round(seconds, 2) for seconds in self.step_s],
            "left_s": None if left_s is None else round(left_s, 1),
        }


def scaled(step_s: Sequence[float], then: int, now: int) -> list[float]:
    """Return the steps' seconds for another size: they grow with it, and do not shrink below a half."""
    factor = max(0.5, now / then) if then > 0 else 1.0
    return [factor * seconds for seconds in step_s]
