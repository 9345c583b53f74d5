"""Effect once for clients: a window of sequence numbers for each of a user's newest sessions.

Per session the highest ``seq`` and a bitmap of the 64 numbers up to it are kept, so an event that comes
again is known, in whatever order, within 64. The 32 sessions used last are kept. An event of a session that
is not among them, and that is not newer than what was evicted, is late: nobody can tell any more whether
it had its effect.
"""

from enum import StrEnum
from functools import lru_cache
from hashlib import blake2b
from typing import NamedTuple

from recommender.encoding import HEADER, WINDOW

SEEN = 64
"""Sequence numbers that a window covers."""
MAX_SESSIONS = 32
_MASK = (1 << SEEN) - 1
_SESSIONS_AT, _EVICTED_AT = 1, HEADER.size - 8  # in the header


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


@lru_cache(maxsize=65_536)
def session_key(session: str) -> bytes:
    """Return 8 bytes that stand for a session name within one user's history."""
    return blake2b(session.encode(), digest_size=8).digest()


def windows_of(history: bytes) -> dict[bytes, Window]:
    """Return the window of each session key, the session used last at the end."""
    end = HEADER.size + WINDOW.size * history[_SESSIONS_AT]
    found = WINDOW.iter_unpack(history[HEADER.size : end])
    return {key: Window(highest, seen, last_ms) for key, highest, seen, last_ms in found}


def admit(history: bytes, session: str, seq: int, client_time_ms: int) -> tuple[Outcome, bytes]:
    """Say whether an event is new, and note it.

    Returns
    -------
    (APPLIED, history that knows the event), or (DUPLICATE | LATE, the same history)
    """
    key = session_key(session)
    end = HEADER.size + WINDOW.size * history[_SESSIONS_AT]
    at = _find(history, key, end)
    if at < 0:
        evicted_ms = int.from_bytes(history[_EVICTED_AT : HEADER.size], "little")
        if evicted_ms and client_time_ms <= evicted_ms:
            return Outcome.LATE, history
        noted = WINDOW.pack(key, seq, 1, client_time_ms)
        return Outcome.APPLIED, _with_session(history, end, noted, evicted_ms)
    _, highest, seen, last_ms = WINDOW.unpack_from(history, at)
    behind = highest - seq
    if behind >= SEEN:
        return Outcome.LATE, history
    if behind >= 0:
        if seen >> behind & 1:
            return Outcome.DUPLICATE, history
        seen |= 1 << behind
    else:
        highest, seen = seq, (seen << min(-behind, SEEN) | 1) & _MASK
    noted = WINDOW.pack(key, highest, seen, max(last_ms, client_time_ms))
    return Outcome.APPLIED, b"".join((history[:at], history[at + WINDOW.size : end], noted, history[end:]))


def _find(history: bytes, key: bytes, end: int) -> int:
    """Return where the window of a session begins, or -1."""
    at = end - WINDOW.size
    if at >= HEADER.size and history.startswith(key, at):
        return at  # nearly always the session used last
    at = history.find(key, HEADER.size, end)
    while at >= 0 and (at - HEADER.size) % WINDOW.size:
        at = history.find(key, at + 1, end)  # the bytes stand there by chance
    return at


def _with_session(history: bytes, end: int, noted: bytes, evicted_ms: int) -> bytes:
    """Return the history with one more session; the one used longest ago goes when there are too many."""
    count, start = history[_SESSIONS_AT] + 1, HEADER.size
    if count > MAX_SESSIONS:
        _, _, _, last_ms = WINDOW.unpack_from(history, start)
        count, start = count - 1, start + WINDOW.size
        evicted_ms = max(evicted_ms, last_ms)
    return b"".join(
        (
            history[:_SESSIONS_AT],
            count.to_bytes(1, "little"),
            history[_SESSIONS_AT + 1 : _EVICTED_AT],
            evicted_ms.to_bytes(8, "little"),
            history[start:end],
            noted,
            history[end:],
        )
    )
