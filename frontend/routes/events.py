"""``/api/v1/events`` and ``history``: what users do, on its way into the log and out of the archive."""

import time
from typing import Any

import msgspec
from quart import Blueprint, Response
from quart_schema import document_request, document_response, tag

from connections.documents import answered
from connections.intake import accept, prepare
from frontend.routes.requests import answer, body, sender, whole_number
from frontend.services import services
from frontend.views import HistoryEntry, HistoryPage
from schemas import events
from schemas.documents import ARCHIVE
from schemas.errors import LogUnavailable, MalformedEvent

blueprint = Blueprint("events", __name__, url_prefix="/api/v1")
_LIKES = 2_000


class EventsBody(msgspec.Struct):
    """1 to 100 events; ``docs/api.md`` lists their types and fields."""

    events: list[Any]


class Accepted(msgspec.Struct):
    """How many events the log has acknowledged."""

    accepted: int


class Likes(msgspec.Struct):
    """Tracks that the user likes now."""

    track_ids: list[int]


@blueprint.post("/events")
@tag(["listening"])
@document_request(EventsBody)
@document_response(Accepted, 202)
async def post_events() -> Response:
    """Accept all events or none; 202 only when the log has acknowledged them, else 503: send all again."""
    identity = await sender()
    metrics = services().metrics
    try:
        accepted = prepare((await body(EventsBody)).events)
    except MalformedEvent:
        metrics.refused.labels("malformed").inc()
        raise
    started = time.perf_counter()
    try:
        count = await accept(services().writer, identity.user_id, accepted)
    except LogUnavailable:
        metrics.refused.labels("log").inc()
        raise
    metrics.append_seconds.observe(time.perf_counter() - started)
    metrics.accepted.inc(count)
    return answer(Accepted(count), 202)


@blueprint.get("/history")
@tag(["listening"])
@document_response(HistoryPage)
async def history() -> Response:
    """Return what the user did, newest first (``limit`` 1 to 200, ``before_ms``)."""
    identity = await sender()
    limit = whole_number("limit", 50, least=1, most=200)
    before_ms = whole_number("before_ms", events.MAX_ID, least=1, most=events.MAX_ID)
    found = await answered(
        services()
        .database[ARCHIVE.name]
        .find({"user_id": identity.user_id, "server_time_ms": {"$lt": before_ms}})
        .sort([("server_time_ms", -1), ("offset", -1)])
        .limit(limit)
        .to_list(limit),
        "reading the history",
    )
    entries = [_entry(document) for document in found]
    more = len(entries) == limit
    return answer(HistoryPage(events=entries, next_before_ms=entries[-1].time_ms if more else None))


@blueprint.get("/likes")
@tag(["listening"])
@document_response(Likes)
async def likes() -> Response:
    """Return the tracks that the user likes, from the newest 2,000 likes and unlikes."""
    identity = await sender()
    found = await answered(
        services()
        .database[ARCHIVE.name]
        .find({"user_id": identity.user_id, "type": {"$in": ["like", "unlike"]}}, {"type": 1, "track_id": 1})
        .sort([("server_time_ms", -1), ("offset", -1)])
        .limit(_LIKES)
        .to_list(_LIKES),
        "reading the likes",
    )
    state = {int(document["track_id"]): document["type"] for document in reversed(found)}
    return answer(Likes([track_id for track_id, kind in state.items() if kind == "like"]))


def _entry(document: dict[str, Any]) -> HistoryEntry:
    event = events.decode(bytes(document["event"]))
    track_id = int(document["track_id"]) if document.get("track_id") is not None else None
    track = services().catalogue.get(track_id) if track_id is not None else None
    return HistoryEntry(
        type=document["type"],
        time_ms=int(document["server_time_ms"]),
        partition=int(document["partition"]),
        offset=int(document["offset"]),
        listen=bool(document.get("listen")),
        track_id=track_id,
        title=track.title if track else None,
        artist=track.artist if track else None,
        listened_ms=event.listened_ms if isinstance(event, events.Play) else None,
        end_reason=event.end_reason if isinstance(event, events.Play) else None,
        playable=track.playable if track else False,
    )
