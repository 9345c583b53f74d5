"""The records of topic ``plays``: one tagged union, complete from the first record on.

A record's key is the user id (32 lower-case hexadecimal digits of a random 128-bit number); control
records have no key and stand in every partition. A record's value is one JSON object whose ``type``
names the event and whose ``v`` is the schema version. Times are milliseconds since 1970 (UTC).

The log is permanent, so this file only ever grows: a changed meaning is a new ``SCHEMA_VERSION`` and
an entry in ``UPCASTS``.
"""

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from schemas.errors import MalformedEvent

SCHEMA_VERSION = 1
MAX_EVENT_BYTES = 16_384
MAX_ID = 2**53 - 1
MAX_SEQ = 2**53 - 1
MAX_TIME_MS = 2**32 * 1000 - 1  # the year 2106: a history counts seconds in 32 bits
_DAY_MS = 86_400_000

Id = Annotated[int, Meta(ge=1, le=MAX_ID)]
TimeMs = Annotated[int, Meta(ge=0, le=MAX_TIME_MS)]
_SESSION = r"^[A-Za-z0-9_.:-]{1,64}$"
Session = Annotated[str, Meta(pattern=_SESSION)]
Seq = Annotated[int, Meta(ge=0, le=MAX_SEQ)]
Name = Annotated[str, Meta(min_length=1, max_length=128)]
Version = Annotated[int, Meta(ge=1, le=SCHEMA_VERSION)]
EndReason = Literal["finished", "skipped", "stopped"]

_USER_ID = re.compile(rb"[0-9a-f]{32}")


class _Version(msgspec.Struct):
    v: int


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """Where in the player a play was started."""

    rail: Name
    position: Annotated[int, Meta(ge=0, le=10_000)] | None = None
    model_id: Name | None = None


class _Record(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", gc=False):
    # gc=False: events hold no cycles, and a worker that catches up makes 100,000 of them a second

    v: Version = SCHEMA_VERSION
    server_time_ms: TimeMs


class _UserEvent(_Record, frozen=True, kw_only=True):
    """Envelope of what a user does: ``(session, seq)`` identifies it, however often it is sent."""

    session: Session
    seq: Seq
    client_time_ms: TimeMs


class Play(_UserEvent, frozen=True, kw_only=True, tag="play"):
    """A user heard a track for ``listened_ms``; ``recommender.history`` decides what counts as a listen."""

    track_id: Id
    listened_ms: Annotated[int, Meta(ge=0, le=_DAY_MS)]
    track_ms: Annotated[int, Meta(ge=1, le=_DAY_MS)]
    end_reason: EndReason
    source: Source | None = None


class Like(_UserEvent, frozen=True, kw_only=True, tag="like"):
    """The user likes a track."""

    track_id: Id


class Unlike(_UserEvent, frozen=True, kw_only=True, tag="unlike"):
    """The user takes a like back."""

    track_id: Id


class Hide(_UserEvent, frozen=True, kw_only=True, tag="hide"):
    """Never recommend this track, or this artist, again. One of the two is given."""

    track_id: Id | None = None
    artist_id: Id | None = None

    def __post_init__(self) -> None:
        _exactly_one(self)


class Unhide(_UserEvent, frozen=True, kw_only=True, tag="unhide"):
    """The user takes a ``Hide`` back. One of the two is given."""

    track_id: Id | None = None
    artist_id: Id | None = None

    def __post_init__(self) -> None:
        _exactly_one(self)


class Less(_UserEvent, frozen=True, kw_only=True, tag="less"):
    """Fewer tracks like this one."""

    track_id: Id


class TasteStart(_UserEvent, frozen=True, kw_only=True, tag="taste_start"):
    """Genres or tracks that a new user chose."""

    genres: Annotated[list[Name], Meta(max_length=20)] = []
    track_ids: Annotated[list[Id], Meta(max_length=50)] = []


class ImportedListens(_UserEvent, frozen=True, kw_only=True, tag="imported_listens"):
    """Another service counted ``count`` listens of a track. Sets that source's count, never adds."""

    source: Name
    track_id: Id
    count: Annotated[int, Meta(ge=0, le=2**32 - 1)]
    last_time_ms: TimeMs | None = None


class Forget(_UserEvent, frozen=True, kw_only=True, tag="forget"):
    """Erase events, a span of time, an artist, or all, as if it had never happened."""

    scope: Literal["events", "span", "artist", "all"]
    events: Annotated[list[tuple[Session, Seq]], Meta(max_length=100)] = []
    from_ms: TimeMs | None = None
    until_ms: TimeMs | None = None
    artist_id: Id | None = None


class Generation(_Record, frozen=True, kw_only=True, tag="generation"):
    """First record of every partition: names the log. Offsets mean nothing across generations."""

    generation: Name
    partitions: Annotated[int, Meta(ge=1)]


class Barrier(_Record, frozen=True, kw_only=True, tag="barrier"):
    """The fold below this record, partition by partition, is the snapshot ``snapshot_id``."""

    snapshot_id: Name


class Activate(_Record, frozen=True, kw_only=True, tag="activate"):
    """From this record on, lists of this partition come from ``model_id``."""

    model_id: Name
    seq: Annotated[int, Meta(ge=1)]


UserEvent = Play | Like | Unlike | Hide | Unhide | Less | TasteStart | ImportedListens | Forget
ControlRecord = Generation | Barrier | Activate
Event = UserEvent | ControlRecord
USER_EVENTS: tuple[type[_UserEvent], ...] = (
    Play, Like, Unlike, Hide, Unhide, Less, TasteStart, ImportedListens, Forget,
)  # fmt: skip


UPCASTS: Mapping[int, Callable[[dict[str, Any]], dict[str, Any]]] = {}
"""``UPCASTS[n]`` turns the JSON object of version n into one of version n + 1."""


class _SoonPlay(Play, frozen=True, kw_only=True, tag="play"):
    """A play whose session is not looked at while it is decoded: a pattern takes half of the time."""

    session: str


_decoder: msgspec.json.Decoder[Event] = msgspec.json.Decoder(Event)
_version_decoder = msgspec.json.Decoder(_Version)
_soon_decoder = msgspec.json.Decoder(
    _SoonPlay | Like | Unlike | Hide | Unhide | Less | TasteStart | ImportedListens | Forget | ControlRecord
)
_encoder = msgspec.json.Encoder()


def _exactly_one(event: Hide | Unhide) -> None:
    if (event.track_id is None) == (event.artist_id is None):
        raise ValueError("give track_id or artist_id, not both")


def encode(event: Event) -> bytes:
    """Return the bytes that stand in the log."""
    return _encoder.encode(event)


def decode(value: bytes | None) -> Event:
    """Return the event that ``value`` holds, in the current schema version.

    Raises
    ------
    MalformedEvent
        Empty, oversized, not JSON, of an unknown type or version, or a field outside its range.
    """
    if not value:
        raise MalformedEvent("the record has no value; an event is one JSON object")
    if len(value) > MAX_EVENT_BYTES:
        raise MalformedEvent(f"{len(value)} bytes; an event has at most {MAX_EVENT_BYTES}")
    try:
        event = _decoder.decode(value)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        if not _is_older(value):  # it may lack what this version demands
            raise MalformedEvent(f"not a valid event: {error}") from None
        return _upcast(value)
    return event if event.v == SCHEMA_VERSION else _upcast(value)


def decode_play(value: bytes | None) -> Play | None:
    """Return the play that ``value`` holds, as ``decode`` in half its time; None for whatever else it holds.

    None is also the answer for a play of an older schema version.
    """
    if not value or len(value) > MAX_EVENT_BYTES:
        return None
    try:
        event = _soon_decoder.decode(value)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    if type(event) is _SoonPlay and event.v == SCHEMA_VERSION and _is_session(event.session):
        return event
    return None


@lru_cache(maxsize=65_536)
def _is_session(name: str) -> bool:
    return re.search(_SESSION, name) is not None


def _is_older(value: bytes) -> bool:
    """Say whether this is an object of a version that can be cast up."""
    try:
        return bool(UPCASTS) and _version_decoder.decode(value).v in UPCASTS
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return False


def _upcast(value: bytes) -> Event:
    try:
        fields: dict[str, Any] = msgspec.json.decode(value)
        version = fields["v"]
        for older in range(version, SCHEMA_VERSION):
            fields = UPCASTS[older](fields) | {"v": older + 1}
        return msgspec.convert(fields, Event)  # type: ignore[no-any-return]
    except (msgspec.MsgspecError, ValueError, RecursionError, LookupError, TypeError) as error:
        raise MalformedEvent(f"not a valid event of an older version: {error!r}") from None


def decode_user_id(key: bytes | None) -> str:
    """Return the user id in a record's key.

    Raises
    ------
    MalformedEvent
        The key is not 32 lower-case hexadecimal digits.
    """
    if key is None or _USER_ID.fullmatch(key) is None:
        raise MalformedEvent(f"key {key and key[:40]!r} is not a user id (32 hexadecimal digits)")
    return key.decode()


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of every record of topic ``plays``."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Segue: records of topic plays",
        **msgspec.json.schema(Event),
    }
