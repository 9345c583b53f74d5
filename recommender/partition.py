"""The fold of one partition of the log. Worker, restore, replay, audit and verify all call it."""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from recommender.encoding import EMPTY
from recommender.history import FOLD_VERSION, apply_to
from recommender.windows import Outcome, note
from schemas import events
from schemas.errors import HoleInLog, MalformedEvent

Record = tuple[int, bytes | None, bytes | None]
"""(offset, key, value) as it stands in the partition."""


class Folded(NamedTuple):
    """What became of one record."""

    offset: int
    outcome: Outcome
    user_id: str | None
    event: events.Event | None
    reason: str | None


@dataclass(slots=True)
class PartitionState:
    """State of a partition: the fold of its records below ``position``, and nothing else.

    Attributes
    ----------
    partition : number of the partition
    position : offset of the next record
    generation : the log's name, from its first record; None at position 0
    histories : bytes of a ``History`` by user id
    model_id, model_seq : the active model, from the newest ``Activate``
    counts : number of offsets below ``position`` in each class; they add up to ``position``
    """

    partition: int
    position: int = 0
    generation: str | None = None
    histories: dict[str, bytes] = field(default_factory=dict)
    model_id: str | None = None
    model_seq: int = 0
    counts: Counter[str] = field(default_factory=Counter)

    def copy(self) -> "PartitionState":
        """Return the state as it is now: references are copied, histories are immutable."""
        return replace(self, histories=self.histories.copy(), counts=self.counts.copy())

    def fold(
        self,
        records: Iterable[Record],
        on_barrier: Callable[["PartitionState", events.Barrier], None] | None = None,
    ) -> list[Folded]:
        """Fold records in order and say what became of each.

        ``on_barrier`` is called with the state exactly below each barrier.

        Raises
        ------
        HoleInLog
            A record is not the one at the position; the records before it are folded.
        """
        folded: list[Folded] = []
        for offset, key, value in records:
            if offset != self.position:
                raise hole(self.partition, self.position, offset)
            result = self._fold_one(offset, key, value)
            if on_barrier is not None and type(result.event) is events.Barrier:
                on_barrier(self, result.event)
            self.counts[result.outcome] += 1
            self.position = offset + 1
            folded.append(result)
        return folded

    def digest(self) -> str:
        """Return the SHA-256 of the canonical state: equal folds have equal digests."""
        head = {
            "fold_version": FOLD_VERSION,
            "partition": self.partition,
            "position": self.position,
            "generation": self.generation,
            "model_id": self.model_id,
            "model_seq": self.model_seq,
            "counts": {outcome.value: self.counts[outcome] for outcome in Outcome},
        }
        digest = hashlib.sha256(json.dumps(head, sort_keys=True).encode())
        for user_id in sorted(self.histories):
            data = self.histories[user_id]
            digest.update(user_id.encode() + len(data).to_bytes(4, "little") + data)
        return digest.hexdigest()

    def _fold_one(self, offset: int, key: bytes | None, value: bytes | None) -> Folded:
        try:
            event = events.decode(value)
            if isinstance(event, events.ControlRecord):
                return self._control(offset, key, event)
            user_id = events.decode_user_id(key)
            _check_supported(event)
            history = bytearray(self.histories.get(user_id, EMPTY))
            outcome = note(history, event.session, event.seq, event.client_time_ms)
            if outcome is Outcome.APPLIED:
                apply_to(history, event)
                self.histories[user_id] = bytes(history)
        except MalformedEvent as error:
            return Folded(offset, Outcome.DEAD, None, None, str(error))
        return Folded(offset, outcome, user_id, event, None)

    def _control(self, offset: int, key: bytes | None, event: events.ControlRecord) -> Folded:
        if key is not None:
            raise MalformedEvent(f"a control record has no key, this one has {key[:40]!r}")
        if isinstance(event, events.Generation) and self.generation is None:
            self.generation = event.generation
        elif isinstance(event, events.Activate) and event.seq > self.model_seq:
            self.model_id, self.model_seq = event.model_id, event.seq
        return Folded(offset, Outcome.CONTROL, None, event, None)


def hole(partition: int, position: int, offset: int) -> HoleInLog:
    """Return the error that a record is not the one at the position."""
    return HoleInLog(f"partition {partition}: offset {offset} was delivered, {position} is next")


def _check_supported(event: events.UserEvent) -> None:
    if isinstance(event, events.Forget) and event.scope != "all":
        raise MalformedEvent(f"forget with scope {event.scope!r} is not supported by fold {FOLD_VERSION}")
