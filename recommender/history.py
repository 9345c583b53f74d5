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

import struct
from collections.abc import Callable
from dataclasses import dataclass, replace
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from recommender.windows import NO_WINDOWS, Window, Windows
from schemas import events
from schemas.errors import InvalidSnapshot

FOLD_VERSION = "1"
"""Changes with every change of what the fold makes of a log; parts of another version are never used."""

INTERACTION = np.dtype(
    [
        ("track_id", "<u8"),
        ("source", "<u4"),
        ("last_s", "<u4"),
        ("imported", "<u4"),
        ("listens", "<u2"),
        ("completions", "<u2"),
        ("skips", "<u2"),
        ("flags", "u1"),
    ]
)
LIKED, HIDDEN, LESS, CHOSEN = 1, 2, 4, 8
HERE = 0  # the ``source`` of what happened in Segue itself

MAX_INTERACTIONS = 500
MAX_NEWEST = 250  # of these; the rest are the strongest
MAX_HIDDEN_ARTISTS = 200
MAX_GENRES = 20
_FULL_LISTEN_MS = 240_000
_SATURATED = {"listens": 2**16 - 1, "completions": 2**16 - 1, "skips": 2**16 - 1}

_HEADER = struct.Struct("<BBHHHQQ")
_SESSION = struct.Struct("<QQQQ")
_ENCODING = 1

Interactions = NDArray[np.void]


@dataclass(frozen=True, slots=True)
class History:
    """One user's history.

    Attributes
    ----------
    interactions : INTERACTION [n <= 500], ordered by (track_id, source); read-only
    hidden_artists : uint64 [m], ascending
    genres : uint32 [g], keys of genres chosen at the start, in the order chosen
    windows : sequence numbers seen
    last_event_ms : server time of the newest event, milliseconds since 1970; "now" of this user
    """

    interactions: Interactions
    hidden_artists: NDArray[np.uint64]
    genres: NDArray[np.uint32]
    windows: Windows
    last_event_ms: int

    @classmethod
    def empty(cls) -> "History":
        """Return the history of a user without events."""
        return _EMPTY

    @classmethod
    def from_bytes(cls, data: bytes) -> "History":
        """Return the history that ``to_bytes`` wrote.

        Raises
        ------
        InvalidSnapshot
            The bytes are of another encoding or cut.
        """
        encoding, sessions, rows, artists, genres, last_event_ms, evicted_ms = _HEADER.unpack_from(data)
        sizes = (_SESSION.size * sessions, INTERACTION.itemsize * rows, 8 * artists, 4 * genres)
        if encoding != _ENCODING or len(data) != _HEADER.size + sum(sizes):
            raise InvalidSnapshot(f"{len(data)} bytes are not a history of encoding {_ENCODING}")
        at = _HEADER.size
        windows = {
            key: Window(highest, seen, last_ms)
            for key, highest, seen, last_ms in _SESSION.iter_unpack(data[at : at + sizes[0]])
        }
        at += sizes[0]
        interactions = np.frombuffer(data, INTERACTION, rows, at)
        at += sizes[1]
        hidden = np.frombuffer(data, "<u8", artists, at)
        return cls(
            interactions,
            hidden,
            np.frombuffer(data, "<u4", genres, at + sizes[2]),
            Windows(windows, evicted_ms),
            last_event_ms,
        )

    def to_bytes(self) -> bytes:
        """Return the canonical bytes: equal histories have equal bytes on every machine."""
        sessions = self.windows.sessions
        header = _HEADER.pack(
            _ENCODING,
            len(sessions),
            len(self.interactions),
            len(self.hidden_artists),
            len(self.genres),
            self.last_event_ms,
            self.windows.evicted_ms,
        )
        windows = b"".join(_SESSION.pack(key, *window) for key, window in sessions.items())
        return b"".join(
            (
                header,
                windows,
                self.interactions.tobytes(),
                self.hidden_artists.tobytes(),
                self.genres.tobytes(),
            )
        )


_EMPTY = History(
    np.empty(0, INTERACTION), np.empty(0, "<u8"), np.empty(0, "<u4"), NO_WINDOWS, last_event_ms=0
)


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


def apply(history: History, event: events.UserEvent) -> History:
    """Return the history after ``event``. Pure; the event was found to be new (``windows.admit``)."""
    changed = _APPLY[type(event)](history, event)
    now_ms = max(history.last_event_ms, event.server_time_ms)
    return replace(changed, last_event_ms=now_ms)


def _play(history: History, play: events.Play) -> History:
    listen = is_listen(play)
    return _count(
        history,
        play.track_id,
        play.server_time_ms,
        listens=listen,
        completions=listen and is_completion(play),
        skips=play.end_reason == "skipped" and not listen,
    )


def _like(history: History, event: events.Like) -> History:
    return _flag(history, event.track_id, event.server_time_ms, LIKED)


def _unlike(history: History, event: events.Unlike) -> History:
    return _clear(history, event.track_id, LIKED)


def _less(history: History, event: events.Less) -> History:
    return _flag(history, event.track_id, event.server_time_ms, LESS)


def _hide(history: History, event: events.Hide) -> History:
    if event.track_id is not None:
        return _flag(history, event.track_id, event.server_time_ms, HIDDEN)
    hidden = np.union1d(history.hidden_artists, np.array([event.artist_id], "<u8"))
    return replace(history, hidden_artists=hidden[-MAX_HIDDEN_ARTISTS:])


def _unhide(history: History, event: events.Unhide) -> History:
    if event.track_id is not None:
        return _clear(history, event.track_id, HIDDEN)
    hidden = history.hidden_artists
    return replace(history, hidden_artists=hidden[hidden != event.artist_id])


def _taste_start(history: History, event: events.TasteStart) -> History:
    known = [int(key) for key in history.genres]
    for key in map(genre_key, event.genres):
        if key not in known:
            known.append(key)
    history = replace(history, genres=np.array(known[:MAX_GENRES], "<u4"))
    for track_id in event.track_ids:
        history = _flag(history, track_id, event.server_time_ms, CHOSEN)
    return history


def _imported_listens(history: History, event: events.ImportedListens) -> History:
    source = source_key(event.source)
    rows, at = _row(history.interactions, event.track_id, source)
    rows["imported"][at] = event.count
    rows["last_s"][at] = (event.last_time_ms or 0) // 1000
    return replace(history, interactions=_bounded(rows))


def _forget(history: History, event: events.Forget) -> History:
    return replace(_EMPTY, windows=history.windows)


# each entry takes exactly the event class that it is listed under
_APPLY: dict[type, Callable[..., History]] = {
    events.Play: _play,
    events.Like: _like,
    events.Unlike: _unlike,
    events.Less: _less,
    events.Hide: _hide,
    events.Unhide: _unhide,
    events.TasteStart: _taste_start,
    events.ImportedListens: _imported_listens,
    events.Forget: _forget,
}


def _count(history: History, track_id: int, time_ms: int, **counts: bool) -> History:
    rows, at = _row(history.interactions, track_id, HERE)
    for name, more in counts.items():
        if more:
            rows[name][at] = min(int(rows[name][at]) + 1, _SATURATED[name])
    rows["last_s"][at] = time_ms // 1000
    return replace(history, interactions=_bounded(rows))


def _flag(history: History, track_id: int, time_ms: int, flag: int) -> History:
    rows, at = _row(history.interactions, track_id, HERE)
    rows["flags"][at] |= flag
    rows["last_s"][at] = time_ms // 1000
    return replace(history, interactions=_bounded(rows))


def _clear(history: History, track_id: int, flag: int) -> History:
    rows, at = _row(history.interactions, track_id, HERE)
    if len(rows) > len(history.interactions):
        return history  # nothing to take back
    rows["flags"][at] &= ~flag & 0xFF
    return replace(history, interactions=rows)


def _row(rows: Interactions, track_id: int, source: int) -> tuple[Interactions, int]:
    """Return a copy that has a row for (track, source), and where it stands."""
    at = int(np.searchsorted(rows["track_id"], track_id))
    while at < len(rows) and rows["track_id"][at] == track_id and rows["source"][at] < source:
        at += 1
    if at < len(rows) and rows["track_id"][at] == track_id and rows["source"][at] == source:
        return rows.copy(), at
    longer = np.empty(len(rows) + 1, INTERACTION)
    longer[:at] = rows[:at]
    longer[at + 1 :] = rows[at:]
    longer[at] = (track_id, source, 0, 0, 0, 0, 0, 0)
    return longer, at


def _bounded(rows: Interactions) -> Interactions:
    """Drop the weakest of the older rows while there are more than ``MAX_INTERACTIONS``.

    Hidden and liked tracks count as strongest, so that what the user said outlives what was merely played.
    """
    if len(rows) <= MAX_INTERACTIONS:
        return rows
    by_age = np.lexsort((rows["track_id"], rows["last_s"]))
    older = by_age[: len(rows) - MAX_NEWEST]
    said = (rows["flags"][older] & (LIKED | HIDDEN)) != 0
    weight = rows["imported"][older].astype(np.int64) + rows["listens"][older] - rows["skips"][older]
    order = np.lexsort((rows["track_id"][older], rows["last_s"][older], weight, said))
    kept = np.ones(len(rows), bool)
    kept[older[order[: len(rows) - MAX_INTERACTIONS]]] = False
    return rows[kept]
