"""Effect once for clients: a window of sequence numbers for each of a user's newest sessions.

Per session the highest ``seq`` and a bitmap of the 64 numbers up to it are kept, so an event that comes
again is known, in whatever order, within 64. The 32 sessions used last are kept. An event of a session that
is not among them, and that is not newer than what was evicted, is late: nobody can tell any more whether
it had its effect.
"""

from enum import StrEnum
from functools import lru_cache
from hashlib import blake2b
from struct import Struct
from typing import NamedTuple

from recommender.encoding import HEADER, WINDOW

SEEN = 64
"""Sequence numbers that a window covers."""
MAX_SESSIONS = 32
_MASK = (1 << SEEN) - 1
_SESSIONS_AT, _EVICTED_AT = 1, HEADER.size - 8  # in the header
_HEADER_BYTES, _WINDOW_BYTES = HEADER.size, WINDOW.size
_NUMBERS, _NUMBERS_AT = Struct("<QQQ"), 8  # of a window, behind its key
_read_numbers, _write_numbers = _NUMBERS.unpack_from, _NUMBERS.pack_into


class Outcome(StrEnum):
    """The one class into which every offset below the position falls."""

    APPLIED = "applied"
    DUPLICATE = "duplicate"
    LATE = "late"
    DEAD = "dead"
    CONTROL = "control"


_APPLIED, _DUPLICATE, _LATE = Outcome.APPLIED, Outcome.DUPLICATE, Outcome.LATE


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
    buffer = bytearray(history)
    outcome = note(buffer, session, seq, client_time_ms)
    return outcome, bytes(buffer) if outcome is Outcome.APPLIED else history


def note(history: bytearray, session: str, seq: int, client_time_ms: int) -> Outcome:
    """Say whether an event is new, and if so note it in place."""
    key = session_key(session)
    end = _HEADER_BYTES + _WINDOW_BYTES * history[_SESSIONS_AT]
    at = last = end - _WINDOW_BYTES  # where nearly always the session stands: the one used last
    if last < _HEADER_BYTES or not history.startswith(key, last):
        at = _find(history, key, end)
        if at < 0:
            return _note_session(history, end, key, seq, client_time_ms)
    highest, seen, last_ms = _read_numbers(history, at + _NUMBERS_AT)
    behind = highest - seq
    if behind < 0:
        highest, seen = seq, (seen << -behind | 1) & _MASK if behind > -SEEN else 1
    elif behind >= SEEN:
        return _LATE
    elif seen >> behind & 1:
        return _DUPLICATE
    else:
        seen |= 1 << behind
    if at < last:
        del history[at : at + _WINDOW_BYTES]
        history[last:last] = key + bytes(_WINDOW_BYTES - len(key))
    if client_time_ms > last_ms:
        last_ms = client_time_ms
    _write_numbers(history, last + _NUMBERS_AT, highest, seen, last_ms)
    return _APPLIED


def _find(history: bytearray, key: bytes, end: int) -> int:
    """Return where the window of a session begins, or -1."""
    at = history.find(key, _HEADER_BYTES, end)
    while at >= 0 and (at - _HEADER_BYTES) % _WINDOW_BYTES:
        at = history.find(key, at + 1, end)  # the bytes stand there by chance
    return at


def _note_session(history: bytearray, end: int, key: bytes, seq: int, client_time_ms: int) -> Outcome:
    """Add a session, unless it may be one that was evicted; one goes when there are too many."""
    evicted_ms = int.from_bytes(history[_EVICTED_AT:_HEADER_BYTES], "little")
    if evicted_ms and client_time_ms <= evicted_ms:
        return _LATE
    history[end:end] = WINDOW.pack(key, seq, 1, client_time_ms)
    if history[_SESSIONS_AT] < MAX_SESSIONS:
        history[_SESSIONS_AT] += 1
        return _APPLIED
    _, _, last_ms = _read_numbers(history, _HEADER_BYTES + _NUMBERS_AT)
    history[_EVICTED_AT:_HEADER_BYTES] = max(evicted_ms, last_ms).to_bytes(8, "little")
    del history[_HEADER_BYTES : _HEADER_BYTES + _WINDOW_BYTES]
    return _APPLIED
