"""The one way into the log: JSON as a client sends it -> validated events -> acknowledged records.

The web tier and the importers both come through here, so nothing enters the log that the other would
have refused.
"""

import re
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Protocol

import msgspec

from schemas import events
from schemas.errors import MalformedEvent
from schemas.topics import PLAYS, Topic

MAX_EVENTS = 100
"""Most events in one request."""

_TYPES: Mapping[str, type[Any]] = {str(kind.__struct_config__.tag): kind for kind in events.USER_EVENTS}
# The server sets these; what a client says about them is not read.
_SET_HERE = ("type", "v", "server_time_ms", "client_time", "client_time_ms", "user_id")
_PATH = re.compile(r"at `\$\.([^`]+)`")
_MISSING = re.compile(r"missing required field `([^`]+)`")


class RejectedEvent(MalformedEvent):
    """One event of a request is not acceptable; ``index`` counts from 0, ``field`` names the culprit."""

    def __init__(self, index: int, field: str, reason: str) -> None:
        super().__init__(f"events[{index}].{field}: {reason}")
        self.index = index
        self.field = field
        self.reason = reason


class Writer(Protocol):
    """What appends records and returns their offsets once all are acknowledged."""

    async def append(
        self,
        topic: Topic,
        records: Sequence[tuple[bytes | None, bytes | None]],
        *,
        partition: int | None = None,
    ) -> list[int]:
        """Append ``(key, value)`` records in order."""


def prepare(incoming: Sequence[object], *, now_ms: int | None = None) -> list[events.UserEvent]:
    """Return the events that a request holds, stamped with the server's time; all or none.

    Parameters
    ----------
    incoming : 1 to ``MAX_EVENTS`` JSON objects with ``type``, ``session``, ``seq``, ``client_time`` (ISO
        8601 with offset, or integer milliseconds since 1970; absent: the server's time) and the
        fields of the type
    now_ms : the server's time, milliseconds since 1970; by default the clock's

    Raises
    ------
    RejectedEvent
        The first event that is not acceptable, with its index and field.
    MalformedEvent
        Not 1 to ``MAX_EVENTS`` events.
    """
    if not 1 <= len(incoming) <= MAX_EVENTS:
        raise MalformedEvent(f"{len(incoming)} events; a request holds 1 to {MAX_EVENTS}")
    at_ms = time.time_ns() // 1_000_000 if now_ms is None else now_ms
    return [_event(index, fields, at_ms) for index, fields in enumerate(incoming)]


async def accept(writer: Writer, user_id: str, accepted: Sequence[events.UserEvent]) -> int:
    """Append one user's events; return how many, once the broker has acknowledged all of them.

    Parameters
    ----------
    user_id : from the login, 32 hexadecimal digits

    Raises
    ------
    LogUnavailable
        Not all were acknowledged in time; repeat all with the same ``(session, seq)``.
    """
    key = events.decode_user_id(user_id.encode()).encode()
    await writer.append(PLAYS, [(key, events.encode(event)) for event in accepted])
    return len(accepted)


def _event(index: int, fields: object, now_ms: int) -> events.UserEvent:
    if not isinstance(fields, Mapping):
        raise RejectedEvent(index, "", "an event is a JSON object")
    kind = _TYPES.get(fields["type"]) if isinstance(fields.get("type"), str) else None
    if kind is None:
        raise RejectedEvent(index, "type", f"one of {', '.join(_TYPES)} is required")
    given = {name: value for name, value in fields.items() if name not in _SET_HERE}
    given["server_time_ms"] = now_ms
    given["client_time_ms"] = min(_client_time_ms(index, fields, now_ms), now_ms)
    try:
        event: events.UserEvent = msgspec.convert(given | {"type": fields["type"]}, kind)
    except (msgspec.ValidationError, RecursionError) as error:
        raise RejectedEvent(index, _field(str(error)), _reason(str(error))) from None
    if isinstance(event, events.Forget) and event.scope != "all":
        raise RejectedEvent(index, "scope", f"forgetting {event.scope!r} is not yet supported; only 'all' is")
    size = len(events.encode(event))
    if size > events.MAX_EVENT_BYTES:
        raise RejectedEvent(index, "", f"{size} bytes; an event has at most {events.MAX_EVENT_BYTES}")
    return event


def _client_time_ms(index: int, fields: Mapping[str, Any], now_ms: int) -> int:
    given = fields.get("client_time", fields.get("client_time_ms"))
    if given is None:
        return now_ms
    if isinstance(given, int) and not isinstance(given, bool) and 0 <= given <= events.MAX_ID:
        return given
    if isinstance(given, str) and len(given) <= 40:
        try:
            parsed = datetime.fromisoformat(given)
            milliseconds = int((parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp() * 1000)
        except (ValueError, OverflowError):
            milliseconds = -1
        if milliseconds >= 0:
            return milliseconds
    raise RejectedEvent(index, "client_time", "ISO 8601 or integer milliseconds since 1970 is required")


def _field(message: str) -> str:
    found = _MISSING.search(message) or _PATH.search(message)
    return found.group(1) if found else "track_id" if "track_id or artist_id" in message else ""


def _reason(message: str) -> str:
    return message.split(" - at `")[0]
