"""``/api/v1/recommendations`` and ``feed``: the newest list, once and live."""

import random
import time
from collections.abc import AsyncIterator
from types import TracebackType

import msgspec
import structlog
from quart import Blueprint, Response, request
from quart.wrappers.response import ResponseBody
from quart_schema import document_response, tag

from connections.documents import answered
from frontend.list_views import RecommendationsView, listed, popular
from frontend.routes.requests import answer, sender
from frontend.services import Services, services
from schemas.documents import LISTS
from schemas.errors import DocumentsUnavailable
from schemas.recommendations import Recommendations, decode_recommendations

blueprint = Blueprint("lists", __name__, url_prefix="/api/v1")
HEARTBEAT_S = 15.0
_RETRY_MS = (1_000, 5_000)
_encoder = msgspec.json.Encoder()
_log = structlog.get_logger()


@blueprint.get("/recommendations")
@tag(["lists"])
@document_response(RecommendationsView)
async def recommendations() -> Response:
    """Return the user's newest list; the charts while there is none."""
    identity = await sender()
    value = await _newest(services(), identity.user_id)
    if value is None:
        return answer(_popular(services()))
    return answer(listed(decode_recommendations(value), services().catalogue.get, sent_ms=None))


@blueprint.get("/feed")
@tag(["lists"])
async def feed() -> Response:
    """Stream the user's lists (server-sent events): the newest at once, then each newer one."""
    identity = await sender()
    opened = services()
    if opened.lists.streams_of(identity.user_id) >= opened.settings.streams_per_user:
        return Response(status=204)  # tells an EventSource not to come again
    response = Response(
        Stream(opened, identity.user_id, request.headers.get("Last-Event-ID")),
        content_type="text/event-stream; charset=utf-8",
        headers={"Cache-Control": "no-cache, no-transform", "X-Accel-Buffering": "no"},
    )
    response.timeout = None
    return response


class Stream(ResponseBody):
    """One open stream; subscribed exactly while the server sends it."""

    def __init__(self, opened: Services, user_id: str, last_id: str | None) -> None:
        self._opened = opened
        self._user_id = user_id
        self._last_id = last_id

    async def __aenter__(self) -> AsyncIterator[bytes]:
        self._slot = self._opened.lists.subscribe(self._user_id, self._opened.settings.streams_per_user)
        return self._messages()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._opened.lists.unsubscribe(self._user_id, self._slot)

    async def _messages(self) -> AsyncIterator[bytes]:
        # Jitter, so that all browsers do not come back at the same moment after a restart.
        yield f"retry: {random.randint(*_RETRY_MS)}\n\n".encode()
        if self._slot.closed:
            return
        value = await _newest(self._opened, self._user_id)
        held = None if value is None else decode_recommendations(value)
        if held is None or _id(held) != self._last_id:
            yield self._message(held, pushed=False)
        offered = self._offered()
        while not self._slot.closed:
            value = await self._slot.next(HEARTBEAT_S)
            if value is not None:
                shown = decode_recommendations(value)
                # a list made whole, or by a model that came late, is no answer to what was just done
                again = held is not None and _place(shown) == _place(held)
                held = shown
                yield self._message(shown, pushed=not again)
            elif held is None and offered != self._offered():
                offered = self._offered()
                yield self._message(None, pushed=False)
            elif not self._slot.closed:
                yield b": still here\n\n"

    def _offered(self) -> tuple[str | None, str | None]:
        """Return what a user without a list is shown: the versions of catalogue and charts."""
        return self._opened.catalogue.version, self._opened.catalogue.charts_id

    def _message(self, shown: Recommendations | None, *, pushed: bool) -> bytes:
        if shown is None:
            return b"event: recommendations\ndata: " + _encoder.encode(_popular(self._opened)) + b"\n\n"
        sent_ms = time.time() * 1000 if pushed else None
        view = listed(shown, self._opened.catalogue.get, sent_ms=sent_ms)
        self._opened.impressions.sent(self._user_id, shown)
        if pushed:
            self._opened.metrics.lists_sent.inc()
        if view.latency_ms is not None:
            self._opened.metrics.latency_seconds.observe(view.latency_ms / 1000)
        head = f"event: recommendations\nid: {_id(shown)}\ndata: ".encode()
        return head + _encoder.encode(view) + b"\n\n"


async def _newest(opened: Services, user_id: str) -> bytes | None:
    """Return the newer of the lists in memory and in collection ``lists``, or None; newer: greater offset."""
    place = opened.lists.place(user_id)
    if place is not None and not opened.batch_lists.newer_than(*place):
        return opened.lists.newest(user_id)
    try:
        found = await answered(opened.database[LISTS.name].find_one({"_id": user_id}), "reading a list")
    except DocumentsUnavailable as error:
        _log.warning("list not read", reason=str(error))
        return opened.lists.newest(user_id)
    if found is not None:
        opened.lists.offer(user_id, bytes(found["value"]))
    return opened.lists.newest(user_id)


def _popular(opened: Services) -> RecommendationsView:
    catalogue, length = opened.catalogue, opened.settings.list_length
    return popular(
        catalogue.charts_id,
        catalogue.charts,
        catalogue.page(0, length + len(catalogue.charts[:length])),
        catalogue.get,
        catalogue.version,
        length,
    )


def _place(shown: Recommendations) -> str:
    return f"{shown.generation}.{shown.partition}.{shown.offset}"


def _id(shown: Recommendations) -> str:
    """Return the message's id; a list that is made whole at its place is another message."""
    return f"{_place(shown)}.brief" if shown.brief else _place(shown)
