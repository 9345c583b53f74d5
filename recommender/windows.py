"""Effect once for clients: a window of sequence numbers for each of a user's newest sessions.

Per session the highest ``seq`` and a bitmap of the 64 numbers up to it are kept, so an event that comes
again is known, in whatever order, within 64. The 32 sessions used last are kept. An event of a session that
is not among them, and that is not newer than what was evicted, is late: nobody can tell any more whether
it had its effect.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from hashlib import blake2b
from typing import NamedTuple

WINDOW = 64
MAX_SESSIONS = 32
_MASK = (1 << WINDOW) - 1


class Outcome(StrEnum):
    """The one class into which every offset below the position falls."""

    APPLIED = "applied"
    DUPLICATE = "duplicate"
    LATE = "late"
    DEAD = "dead"
    CONTROL = "control"


class Window(NamedTuple):
    """Sequence numbers of one session: bit i of ``seen`` stands for ``highest - i``."""

    highest: int
    seen: int
    last_ms: int


@dataclass(frozen=True, slots=True)
class Windows:
    """A user's sessions, the one used last at the end.

    Attributes
    ----------
    sessions : window by session key
    evicted_ms : greatest client time among the evicted sessions' events; 0 while none was evicted
    """

    sessions: Mapping[int, Window]
    evicted_ms: int = 0


NO_WINDOWS = Windows({})


def session_key(session: str) -> int:
    """Return 64 bits that stand for a session name within one user's history."""
    return int.from_bytes(blake2b(session.encode(), digest_size=8).digest(), "little")


def admit(windows: Windows, session: str, seq: int, client_time_ms: int) -> tuple[Outcome, Windows]:
    """Say whether an event is new, and note it.

    Returns
    -------
    (APPLIED, windows that know the event), or (DUPLICATE | LATE, the same windows)
    """
    key = session_key(session)
    window = windows.sessions.get(key)
    if window is None:
        if windows.evicted_ms and client_time_ms <= windows.evicted_ms:
            return Outcome.LATE, windows
        noted = Window(seq, 1, client_time_ms)
    else:
        behind = window.highest - seq
        if behind >= WINDOW:
            return Outcome.LATE, windows
        if behind >= 0 and window.seen >> behind & 1:
            return Outcome.DUPLICATE, windows
        noted = _note(window, behind, client_time_ms)
    sessions = dict(windows.sessions)
    sessions.pop(key, None)
    sessions[key] = noted
    evicted_ms = windows.evicted_ms
    if len(sessions) > MAX_SESSIONS:
        oldest = sessions.pop(next(iter(sessions)))
        evicted_ms = max(evicted_ms, oldest.last_ms)
    return Outcome.APPLIED, Windows(sessions, evicted_ms)


def _note(window: Window, behind: int, client_time_ms: int) -> Window:
    last_ms = max(window.last_ms, client_time_ms)
    if behind >= 0:
        return Window(window.highest, window.seen | 1 << behind, last_ms)
    seen = (window.seen << min(-behind, WINDOW) | 1) & _MASK
    return Window(window.highest - behind, seen, last_ms)
