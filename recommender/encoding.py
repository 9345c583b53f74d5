"""The bytes of a history: canonical, immutable, 16 bytes for an interaction, and a view to read them.

::

    header      encoding, sessions, sources, genres: 1 byte each; artists, rows: 2 bytes each;
                newest event, newest evicted session: 8 bytes each, milliseconds since 1970
    sessions    32 bytes each: key, highest seq, bitmap, newest client time; the one used last at the end
    sources     4 bytes each: keys of the services that listens were imported from
    artists     8 bytes each: hidden artists, in the order in which they were hidden
    genres      4 bytes each: keys of the genres chosen at the start, in the order chosen
    rows        16 bytes each: track id (7), source and flags (1), seconds since 1970 (4), counts (4);
                in the order in which (track, source) first occurred

All numbers are little-endian. A row of what happened in Segue holds listens (12 bits), completions (12) and
skips (8) in its counts, each of which stops at its greatest value; an imported row holds one number. The fold
works on these bytes: finding a row is a search for its track id, replacing it is a slice.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from schemas.errors import InvalidSnapshot

ENCODING = 2
HEADER = struct.Struct("<BBBBHHQQ")
WINDOW = struct.Struct("<8sQQQ")
ROW = struct.Struct("<QII")
EMPTY = HEADER.pack(ENCODING, 0, 0, 0, 0, 0, 0, 0)
SOURCE_BYTES, ARTIST_BYTES, GENRE_BYTES = 4, 8, 4

LIKED, HIDDEN, LESS, CHOSEN = 1, 2, 4, 8
HERE = 0
"""The source of what happened in Segue itself."""
MAX_SOURCES = 15
MAX_LISTENS = MAX_COMPLETIONS = 2**12 - 1
MAX_SKIPS = 2**8 - 1
_TRACK_BITS = 56

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
PACKED = np.dtype([("head", "<u8"), ("last_s", "<u4"), ("counts", "<u4")])

Interactions = NDArray[np.void]


@dataclass(frozen=True)
class History:
    """One user's history, read from its bytes.

    Attributes
    ----------
    data : canonical bytes; equal histories have equal bytes on every machine
    """

    data: bytes = EMPTY

    @classmethod
    def empty(cls) -> "History":
        """Return the history of a user without events."""
        return cls(EMPTY)

    @classmethod
    def from_bytes(cls, data: bytes) -> "History":
        """Return the history that ``data`` holds.

        Raises
        ------
        InvalidSnapshot
            The bytes are of another encoding or cut.
        """
        if len(data) < HEADER.size or data[0] != ENCODING or len(data) != _sections(data)[-1]:
            raise InvalidSnapshot(f"{len(data)} bytes are not a history of encoding {ENCODING}")
        return cls(data)

    @classmethod
    def of(
        cls,
        interactions: Interactions,
        *,
        hidden_artists: Sequence[int] = (),
        genres: Sequence[int] = (),
        last_event_ms: int = 0,
    ) -> "History":
        """Return a history made from what it holds instead of from events.

        Parameters
        ----------
        interactions : INTERACTION [n <= 500], of at most 15 sources beside ``HERE``
        """
        sources = sorted({int(key) for key in interactions["source"]} - {HERE})
        parts = Sections(
            sessions=b"",
            sources=np.array(sources, "<u4").tobytes(),
            artists=np.array(hidden_artists, "<u8").tobytes(),
            genres=np.array(genres, "<u4").tobytes(),
            rows=_packed_rows(interactions, sources),
            last_event_ms=last_event_ms,
            evicted_ms=0,
        )
        return cls(parts.pack())

    @property
    def last_event_ms(self) -> int:
        """Server time of the newest event, milliseconds since 1970: "now" of this user."""
        return int(HEADER.unpack_from(self.data)[6])

    @property
    def packed_rows(self) -> memoryview:
        """The bytes of the rows: see ``PackedRows``."""
        return memoryview(self.data)[_sections(self.data)[-2] :]

    @cached_property
    def interactions(self) -> Interactions:
        """INTERACTION [n <= 500]: one row for each (track, source), in the order of first occurrence."""
        packed = np.frombuffer(self.data, PACKED, offset=_sections(self.data)[-2])
        rows = np.zeros(len(packed), INTERACTION)
        head, counts = packed["head"], packed["counts"]
        rows["track_id"] = head & ((1 << _TRACK_BITS) - 1)
        rows["last_s"] = packed["last_s"]
        kind = (head >> _TRACK_BITS).astype(np.uint8)
        rows["flags"] = kind & 15
        source = kind >> 4
        keys = np.frombuffer(self.data, "<u4", self.data[2], HEADER.size + WINDOW.size * self.data[1])
        rows["source"] = np.concatenate((np.zeros(1, "<u4"), keys))[source]
        here = source == HERE
        rows["imported"] = np.where(here, 0, counts)
        rows["listens"] = np.where(here, counts & MAX_LISTENS, 0)
        rows["completions"] = np.where(here, counts >> 12 & MAX_COMPLETIONS, 0)
        rows["skips"] = np.where(here, counts >> 24, 0)
        return rows

    @property
    def hidden_artists(self) -> NDArray[np.uint64]:
        """Hidden artists: uint64 [m <= 200], the one hidden last at the end."""
        start, end = _sections(self.data)[2:4]
        return np.frombuffer(self.data[start:end], "<u8")

    @property
    def genres(self) -> NDArray[np.uint32]:
        """Keys of genres chosen at the start, in the order chosen: uint32 [g <= 20]."""
        start, end = _sections(self.data)[3:5]
        return np.frombuffer(self.data[start:end], "<u4")

    def to_bytes(self) -> bytes:
        """Return the canonical bytes."""
        return self.data


class PackedRows:
    """The rows of many histories by column, user after user, the tracks of each ascending.

    Sources are not told apart, only ``here``.

    Attributes
    ----------
    users : int64 [rows], whose row it is
    places : int64 [rows], greater for a row that first occurred later
    track_id, last_s, heard, completions, skips : int64 [rows]; ``heard`` counts imported listens too
    flags : int64 [rows]
    here : bool [rows], what happened in Segue itself
    """

    __slots__ = (
        "completions", "flags", "heard", "here", "last_s", "places", "skips", "track_id", "users",
    )  # fmt: skip

    def __init__(self, histories: Sequence[History]) -> None:
        parts = [history.packed_rows for history in histories]
        packed = np.frombuffer(b"".join(parts), PACKED)
        users = np.repeat(np.arange(len(parts)), [len(part) // ROW.size for part in parts])
        track_id = (packed["head"] & np.uint64((1 << _TRACK_BITS) - 1)).astype(np.int64)
        self.places = np.lexsort((track_id, users))
        packed = packed[self.places]
        self.users, self.track_id = users, track_id[self.places]  # users ascend already
        counts, kind = (
            packed["counts"].astype(np.int64),
            (packed["head"] >> np.uint64(_TRACK_BITS)).astype(int),
        )
        self.last_s = packed["last_s"].astype(np.int64)
        self.flags = kind & 15
        self.here = kind < 16
        self.heard = np.where(self.here, counts & MAX_LISTENS, counts)
        self.completions = np.where(self.here, counts >> 12 & MAX_COMPLETIONS, 0)
        self.skips = np.where(self.here, counts >> 24, 0)


def _sections(data: bytes) -> tuple[int, int, int, int, int, int]:
    """Return where sessions, sources, artists, genres and rows begin, and where the rows end."""
    _, sessions, sources, genres, artists, rows, _, _ = HEADER.unpack_from(data)
    sources_at = HEADER.size + WINDOW.size * sessions
    artists_at = sources_at + SOURCE_BYTES * sources
    genres_at = artists_at + ARTIST_BYTES * artists
    rows_at = genres_at + GENRE_BYTES * genres
    return HEADER.size, sources_at, artists_at, genres_at, rows_at, rows_at + ROW.size * rows


@dataclass(slots=True)
class Sections:
    """A history taken apart, for the events that are rare; ``pack`` puts it together again."""

    sessions: bytes
    sources: bytes
    artists: bytes
    genres: bytes
    rows: bytes
    last_event_ms: int
    evicted_ms: int

    @classmethod
    def of(cls, data: bytes) -> "Sections":
        """Take a history apart."""
        at = _sections(data)
        _, _, _, _, _, _, last_event_ms, evicted_ms = HEADER.unpack_from(data)
        sessions, sources, artists, genres, rows = (data[start:end] for start, end in pairwise(at))
        return cls(sessions, sources, artists, genres, rows, last_event_ms, evicted_ms)

    def pack(self) -> bytes:
        """Return the canonical bytes."""
        header = HEADER.pack(
            ENCODING,
            len(self.sessions) // WINDOW.size,
            len(self.sources) // SOURCE_BYTES,
            len(self.genres) // GENRE_BYTES,
            len(self.artists) // ARTIST_BYTES,
            len(self.rows) // ROW.size,
            self.last_event_ms,
            self.evicted_ms,
        )
        return b"".join((header, self.sessions, self.sources, self.artists, self.genres, self.rows))


def _packed_rows(interactions: Interactions, sources: Sequence[int]) -> bytes:
    packed = np.empty(len(interactions), PACKED)
    index = {HERE: 0} | {key: at for at, key in enumerate(sources, 1)}
    source = np.array([index[int(key)] for key in interactions["source"]], np.uint64)
    kind = source << np.uint64(4) | interactions["flags"].astype(np.uint64)
    packed["head"] = interactions["track_id"] | kind << np.uint64(_TRACK_BITS)
    packed["last_s"] = interactions["last_s"]
    counts = interactions["listens"].astype(np.uint32)
    counts |= interactions["completions"].astype(np.uint32) << np.uint32(12)
    counts |= interactions["skips"].astype(np.uint32) << np.uint32(24)
    packed["counts"] = np.where(source == HERE, counts, interactions["imported"])
    return packed.tobytes()
