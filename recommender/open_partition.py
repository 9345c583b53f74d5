"""The fold of many records at once: histories are changed in place until somebody wants the state.

It makes what ``PartitionState.fold`` makes, sooner. What an event makes of a history is said by
``windows.note`` and ``history.apply_play`` alone; a record that is not a play of a user known already goes
through ``PartitionState`` itself.
"""

from collections.abc import Iterable

from recommender.history import apply_play
from recommender.partition import Folded, PartitionState, Record, hole
from recommender.windows import Outcome, note
from schemas import events

_APPLIED, _DUPLICATE = Outcome.APPLIED, Outcome.DUPLICATE


class OpenPartition:
    """A state that is being folded on.

    Parameters
    ----------
    state : becomes this object's own; ``closed`` gives it back
    """

    def __init__(self, state: PartitionState) -> None:
        self._state = state
        self._open: dict[bytes, bytearray] = {}

    @property
    def position(self) -> int:
        """Offset of the next record."""
        return self._state.position

    def fold(self, records: Iterable[Record]) -> list[Folded]:
        """Fold records in order; return what became of those that are not plays of known users.

        Raises
        ------
        HoleInLog
            A record is not the one at the position; the records before it are folded.
        """
        state, known, rest = self._state, self._open, list[Folded]()
        position, applied, duplicates, late = state.position, 0, 0, 0
        try:
            for offset, key, value in records:
                if offset != position:
                    raise hole(state.partition, position, offset)
                history = known.get(key) or self._opened(key)  # type: ignore[arg-type]  # None is nobody's key
                event = None if history is None else events.decode_play(value)
                if history is None or event is None:
                    state.position = position
                    rest.append(self._fold_rest(offset, key, value))
                else:
                    outcome = note(history, event.session, event.seq, event.client_time_ms)
                    if outcome is _APPLIED:
                        apply_play(history, event)
                        applied += 1
                    elif outcome is _DUPLICATE:
                        duplicates += 1
                    else:
                        late += 1
                position += 1
        finally:
            state.position = position
            _add(state, {_APPLIED: applied, _DUPLICATE: duplicates, Outcome.LATE: late})
        return rest

    def closed(self) -> PartitionState:
        """Return the state as it is now. Folding may go on afterwards."""
        for key, history in self._open.items():
            self._state.histories[key.decode()] = bytes(history)
        self._open.clear()
        return self._state

    def _opened(self, key: bytes | None) -> bytearray | None:
        """Return the history of a user of the state, to be changed in place from now on."""
        if key is None:
            return None
        # every byte is a character of latin-1, and what stands for no user id is nobody's
        data = self._state.histories.pop(key.decode("latin-1"), None)
        if data is None:
            return None
        history = self._open[key] = bytearray(data)
        return history

    def _fold_rest(self, offset: int, key: bytes | None, value: bytes | None) -> Folded:
        history = None if key is None else self._open.pop(key, None)
        if key is not None and history is not None:
            self._state.histories[key.decode()] = bytes(history)
        [folded] = self._state.fold([(offset, key, value)])
        if key is not None and folded.user_id in self._state.histories:
            self._open[key] = bytearray(self._state.histories.pop(folded.user_id))
        return folded


def _add(state: PartitionState, counts: dict[Outcome, int]) -> None:
    state.counts.update({outcome: count for outcome, count in counts.items() if count})
