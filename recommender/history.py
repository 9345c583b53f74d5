"""The one fold: what a user's events make of a user's history.

A history holds integers and event times only, so its bytes are equal on every machine; strength and decay are
computed when solving (``recommender.strength``). It is bounded and is replaced whole, never changed in place.

What counts:

* a *listen*: at least half of the track, or four minutes, was heard;
* a *completion*: a listen that ended by itself after at least 80 % of the track;
* a *skip*: the user ended the track before it was a listen;
* every listen of the same track counts again (a repeat);
* imported listens stand in a row of their own per source, set and never added.
"""

from collections.abc import Callable
from hashlib import blake2b
from struct import Struct

import numpy as np

from recommender.encoding import (
    CHOSEN,
    HEADER,
    HERE,
    HIDDEN,
    LESS,
    LIKED,
    MAX_COMPLETIONS,
    MAX_LISTENS,
    MAX_SKIPS,
    MAX_SOURCES,
    PACKED,
    ROW,
    SOURCE_BYTES,
    Sections,
)
from schemas import events
from schemas.errors import MalformedEvent

FOLD_VERSION = "3"
"""Changes with every change of what the fold makes of a log; parts of another version are never used."""

MAX_INTERACTIONS = 500
MAX_NEWEST = 250  # of these; the rest are the strongest
MAX_HIDDEN_ARTISTS = 200
MAX_GENRES = 20
_FULL_LISTEN_MS = 240_000
_KEY_BYTES = 7  # of a track id
_KIND_BITS = 8 * _KEY_BYTES  # source and flags stand above the track id
_KIND = 1 << _KIND_BITS
_ROWS_AND_LAST, _ROWS_AT = Struct("<HQ"), 6  # number of rows and newest event, in the header
_read_counts, _write_counts = _ROWS_AND_LAST.unpack_from, _ROWS_AND_LAST.pack_into
_ROW_BYTES, _read_row, _write_row, _pack_row = ROW.size, ROW.unpack_from, ROW.pack_into, ROW.pack


def genre_key(name: str) -> int:
    """Return the 32 bits that stand for a genre in a history."""
    return int.from_bytes(blake2b(name.casefold().encode(), digest_size=4).digest(), "little")


def source_key(name: str) -> int:
    """Return the 32 bits that stand for an import source in a history; never ``HERE``."""
    return int.from_bytes(blake2b(name.encode(), digest_size=4).digest(), "little") or 1


def is_listen(play: events.Play) -> bool:
    """Say whether a play counts: half of the track, or four minutes."""
    return 2 * play.listened_ms >= play.track_ms or play.listened_ms >= _FULL_LISTEN_MS


def is_completion(play: events.Play) -> bool:
    """Say whether a play was heard to its end: finished, and at least 80 % of the track."""
    return play.end_reason == "finished" and 10 * play.listened_ms >= 8 * play.track_ms


def apply(history: bytes, event: events.UserEvent) -> bytes:
    """Return the history after ``event``. Pure; the event was found to be new (``windows.admit``).

    Raises
    ------
    MalformedEvent
        Listens imported from a sixteenth source: the history has room for fifteen.
    """
    buffer = bytearray(history)
    apply_to(buffer, event)
    return bytes(buffer)


def apply_to(history: bytearray, event: events.UserEvent) -> None:
    """Apply an event in place, as ``apply``; after an error the history is to be thrown away."""
    if type(event) is events.Play:
        apply_play(history, event)
        return
    parts = Sections.of(bytes(history))
    parts.last_event_ms = max(parts.last_event_ms, event.server_time_ms)
    _APPLY[type(event)](parts, event)
    history[:] = parts.pack()


def apply_play(history: bytearray, play: events.Play) -> None:
    """Apply a play: nearly all events are, so its row is replaced without taking the history apart."""
    rows, last_ms = _read_counts(history, _ROWS_AT)
    track_id, now_ms = play.track_id, play.server_time_ms
    at = _find(history, len(history) - _ROW_BYTES * rows, track_id, HERE)
    if at < 0:
        rows += 1
        history += _pack_row(track_id, now_ms // 1000, _counted(0, play))
    else:
        head, _, counts = _read_row(history, at)
        _write_row(history, at, head, now_ms // 1000, _counted(counts, play))
    _write_counts(history, _ROWS_AT, rows, now_ms if now_ms > last_ms else last_ms)
    if rows > MAX_INTERACTIONS:
        history[:] = _bounded(bytes(history))


def _counted(counts: int, play: events.Play) -> int:
    """Return a row's counts after a play; each stops at its greatest value."""
    if is_listen(play):
        if counts & MAX_LISTENS < MAX_LISTENS:
            counts += 1
        if is_completion(play) and counts >> 12 & MAX_COMPLETIONS < MAX_COMPLETIONS:
            counts += 1 << 12
    elif play.end_reason == "skipped" and counts >> 24 < MAX_SKIPS:
        counts += 1 << 24
    return counts


def _find(data: bytes | bytearray, start: int, track_id: int, source: int) -> int:
    """Return where the row of (track, source) begins, rows beginning at ``start``, or -1."""
    key = track_id.to_bytes(_KEY_BYTES, "little")
    first = data[start::_ROW_BYTES]  # bytes of all rows: one byte is searched for many times sooner than two
    row = first.find(key[0])
    while row >= 0:
        at = start + _ROW_BYTES * row
        if data.startswith(key, at) and data[at + _KEY_BYTES] >> 4 == source:
            return at
        row = first.find(key[0], row + 1)
    return -1


def _bounded(history: bytes) -> bytes:
    """Drop the weakest of the older rows until there are ``MAX_INTERACTIONS``; see ``_weakest``."""
    encoding, sessions, sources, genres, artists, rows, last_ms, evicted_ms = HEADER.unpack_from(history)
    while rows > MAX_INTERACTIONS:
        at = len(history) - ROW.size * (rows - _weakest(history, rows))
        rows -= 1
        history = history[:at] + history[at + ROW.size :]
    header = HEADER.pack(encoding, sessions, sources, genres, artists, rows, last_ms, evicted_ms)
    return header + history[HEADER.size :]


def _weakest(history: bytes, rows: int) -> int:
    """Return which of the rows, all but the ``MAX_NEWEST`` newest, is the weakest.

    What the user said outlives what was merely played: liked tracks go when there is no other, and hidden
    ones, which must not come again, when there is no liked one either. Ties go by the oldest, then by the row
    that came first.
    """
    packed = np.frombuffer(history, PACKED, offset=len(history) - ROW.size * rows)
    last_s = packed["last_s"]
    older = np.sort(np.argsort(last_s, kind="stable")[: rows - MAX_NEWEST])
    kind = (packed["head"][older] >> _KIND_BITS).astype(np.uint8)
    for said in (LIKED | HIDDEN, HIDDEN):
        if len(others := np.flatnonzero((kind & said) == 0)):
            older, kind = older[others], kind[others]
            break
    counts = packed["counts"][older].astype(np.int64)
    weight = np.where(kind >> 4 == HERE, (counts & MAX_LISTENS) - (counts >> 24), counts)
    weakest = older[weight == weight.min()]
    return int(weakest[np.argmin(last_s[weakest])])


def _set_row(
    parts: Sections, track_id: int, source: int, flags: int, time_ms: int, counts: int | None
) -> None:
    """Give the row of (track, source), made if missing, more flags, a time and, unless None, counts."""
    at = _find(parts.rows, 0, track_id, source)
    head, found = track_id | (source << 4) * _KIND, 0
    if at < 0:
        at = len(parts.rows)
    else:
        head, _, found = ROW.unpack_from(parts.rows, at)
    row = ROW.pack(head | flags * _KIND, time_ms // 1000, found if counts is None else counts)
    parts.rows = parts.rows[:at] + row + parts.rows[at + ROW.size :]
    if len(parts.rows) > MAX_INTERACTIONS * ROW.size:
        parts.rows = Sections.of(_bounded(parts.pack())).rows


def _flag(flag: int) -> Callable[[Sections, events.Like | events.Less], None]:
    def apply_flag(parts: Sections, event: events.Like | events.Less) -> None:
        _set_row(parts, event.track_id, HERE, flag, event.server_time_ms, None)

    return apply_flag


def _clear(parts: Sections, track_id: int, flag: int) -> None:
    """Take a flag from a row; nothing to take back where there is none."""
    at = _find(parts.rows, 0, track_id, HERE)
    if at >= 0:
        head, last_s, counts = ROW.unpack_from(parts.rows, at)
        row = ROW.pack(head & ~(flag * _KIND), last_s, counts)
        parts.rows = parts.rows[:at] + row + parts.rows[at + ROW.size :]


def _unlike(parts: Sections, event: events.Unlike) -> None:
    _clear(parts, event.track_id, LIKED)


def _hide(parts: Sections, event: events.Hide) -> None:
    if event.track_id is not None:
        _set_row(parts, event.track_id, HERE, HIDDEN, event.server_time_ms, None)
    else:
        hidden = np.frombuffer(parts.artists, "<u8")
        others = hidden[hidden != event.artist_id][1 - MAX_HIDDEN_ARTISTS :].tolist()
        parts.artists = np.array([*others, event.artist_id], "<u8").tobytes()  # the newest is the last


def _unhide(parts: Sections, event: events.Unhide) -> None:
    if event.track_id is not None:
        _clear(parts, event.track_id, HIDDEN)
    else:
        hidden = np.frombuffer(parts.artists, "<u8")
        parts.artists = hidden[hidden != event.artist_id].tobytes()


def _taste_start(parts: Sections, event: events.TasteStart) -> None:
    known = np.frombuffer(parts.genres, "<u4").tolist()
    chosen = dict.fromkeys([*known, *map(genre_key, event.genres)])
    parts.genres = np.array(list(chosen)[:MAX_GENRES], "<u4").tobytes()
    for track_id in event.track_ids:
        _set_row(parts, track_id, HERE, CHOSEN, event.server_time_ms, None)


def _imported_listens(parts: Sections, event: events.ImportedListens) -> None:
    sources = np.frombuffer(parts.sources, "<u4").tolist()
    key = source_key(event.source)
    if key not in sources:
        if len(sources) == MAX_SOURCES:
            raise MalformedEvent(
                f"listens imported from {event.source!r}: a history has room for {MAX_SOURCES} sources"
            )
        sources.append(key)
        parts.sources += key.to_bytes(SOURCE_BYTES, "little")
    index = sources.index(key) + 1
    _set_row(parts, event.track_id, index, 0, event.last_time_ms or 0, event.count)


def _forget(parts: Sections, event: events.Forget) -> None:
    parts.sources = parts.artists = parts.genres = parts.rows = b""
    parts.last_event_ms = event.server_time_ms


# each entry takes exactly the event class that it is listed under
_APPLY: dict[type, Callable[..., None]] = {
    events.Like: _flag(LIKED),
    events.Unlike: _unlike,
    events.Less: _flag(LESS),
    events.Hide: _hide,
    events.Unhide: _unhide,
    events.TasteStart: _taste_start,
    events.ImportedListens: _imported_listens,
    events.Forget: _forget,
}
