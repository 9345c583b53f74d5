"""Who gets a new list, and what it is to be made from."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from agents.ranking.frames import Asked
from recommender.encoding import EMPTY, History
from recommender.partition import Folded, PartitionState
from recommender.windows import Outcome
from schemas import events

RERANKED_USERS = 2_000
"""Users of a partition, seen last, whose lists are made anew when a model becomes active."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A user whose list is due: after ``event``, or (None) because the model changed."""

    user_id: str
    offset: int
    event: events.UserEvent | None


def wanted_after(folded: Sequence[Folded], reflecting: int | None = None) -> list[Wanted]:
    """Return each user with applied events once, with the newest of them.

    Parameters
    ----------
    reflecting : offset that the lists name, by default that of the user's event. Records that hold an
        activation need the last offset: a list that names one before it belongs to the model before it.
    """
    newest: dict[str, Wanted] = {}
    for result in folded:
        if result.outcome is Outcome.APPLIED and result.user_id is not None:
            assert isinstance(result.event, events.UserEvent)
            offset = result.offset if reflecting is None else reflecting
            newest[result.user_id] = Wanted(result.user_id, offset, result.event)
    return list(newest.values())


def users_seen_last(state: PartitionState) -> list[str]:
    """Return the users of a partition whose lists are made anew when a model becomes active."""
    seen = sorted(
        ((History.from_bytes(data).last_event_ms, user_id) for user_id, data in state.histories.items()),
        reverse=True,
    )
    return [user_id for _, user_id in seen[:RERANKED_USERS]]


def asked_now(state: PartitionState, wanted: Wanted) -> Asked:
    """Return what a list is made from that is asked for now: histories are immutable."""
    event, now_ms = wanted.event, time.time() * 1000
    return Asked(
        user_id=wanted.user_id,
        partition=state.partition,
        offset=wanted.offset,
        history=state.histories.get(wanted.user_id, EMPTY),
        played=event.track_id if isinstance(event, events.Play) else None,
        cause=None if event is None else _cause(event),
        accepted_ms=now_ms if event is None else float(event.server_time_ms),
        folded_ms=now_ms,
    )


def _cause(event: events.UserEvent) -> tuple[str, str, int, int | None]:
    kind = str(type(event).__struct_config__.tag)
    return kind, event.session, event.seq, getattr(event, "track_id", None)
