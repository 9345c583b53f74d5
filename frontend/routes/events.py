"""``/api/v1/events`` and ``history``: what users do, on its way into the log and out of the archive."""

import time
from typing import Any

import msgspec
from quart import Blueprint, Response, request
from quart_schema import document_request, document_response, tag

from connections.intake import accept, prepare
from frontend.history import Place
from frontend.problems import Problem
from frontend.routes.requests import answer, body, sender, whole_number
from frontend.services import services
from frontend.views import HistoryEntry, HistoryPage
from schemas import events
from schemas.errors import LogUnavailable, MalformedEvent

blueprint = Blueprint("events", __name__, url_prefix="/api/v1")


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
    """Return what the user did, newest first (``limit`` 1 to 200).

    ``cursor`` is ``next_cursor`` of the page before; ``before_ms`` begins at a time instead.
    """
    identity = await sender()
    limit = whole_number("limit", 50, least=1, most=200)
    before_ms = whole_number("before_ms", events.MAX_ID, least=1, most=events.MAX_ID)
    after = _place()
    found, behind = await services().history.page(
        identity.user_id, limit, after=after, before_ms=before_ms if "before_ms" in request.args else None
    )
    return answer(
        HistoryPage(
            events=[_entry(document) for document in found],
            next_cursor=behind.cursor if behind else None,
            next_before_ms=behind.server_time_ms if behind else None,
        )
    )


@blueprint.get("/likes")
@tag(["listening"])
@document_response(Likes)
async def likes() -> Response:
    """Return the tracks that the user likes, from the newest 2,000 likes and unlikes."""
    identity = await sender()
    return answer(Likes(await services().history.liked(identity.user_id)))


def _place() -> Place | None:
    cursor = request.args.get("cursor")
    if cursor is None:
        return None
    if "before_ms" in request.args:
        raise Problem(400, "give cursor or before_ms, not both", field="cursor")
    try:
        return Place.read(cursor)
    except ValueError:
        raise Problem(
            400, "cursor is not one of ours: give next_cursor of the page before", field="cursor"
        ) from None


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
