"""``/api/v1/tracks``, ``similar``, ``search``, ``charts`` and audio: the catalogue."""

import asyncio
from pathlib import Path
from typing import Any

import msgspec
from quart import Blueprint, Response, request
from quart.wrappers.response import FileBody
from quart_schema import document_response, tag
from werkzeug.http import parse_range_header, quote_etag

from connections.documents import answered
from frontend.list_views import ChartedGenre, ChartItem, ChartsView, SimilarView, item_view
from frontend.problems import Problem
from frontend.routes.requests import answer, sender, whole_number
from frontend.services import services
from frontend.views import TrackDetail, TrackPage
from schemas.documents import TRACKS
from schemas.errors import DocumentsUnavailable
from schemas.events import MAX_ID
from schemas.recommendations import Item, Reason

blueprint = Blueprint("tracks", __name__, url_prefix="/api/v1")
_BUFFER_BYTES = 65_536
# A player that pauses stops reading; its connection may wait this long.
_AUDIO_TIMEOUT_S = 3_600
_QUERY_CHARACTERS = 200


@blueprint.get("/tracks")
@tag(["catalogue"])
@document_response(TrackPage)
async def tracks() -> Response:
    """Return tracks in the order of ids (``limit`` 1 to 500, ``cursor`` from the page before)."""
    await sender()
    limit = whole_number("limit", 100, least=1, most=500)
    cursor = whole_number("cursor", 0, least=0, most=MAX_ID)
    page = services().catalogue.page(cursor, limit)
    return answer(TrackPage(tracks=page, next_cursor=page[-1].track_id if len(page) == limit else None))


@blueprint.get("/tracks/<int:track_id>")
@tag(["catalogue"])
@document_response(TrackDetail)
async def track(track_id: int) -> Response:
    """Return one track with its waveform."""
    await sender()
    found = services().catalogue.get(track_id)
    if found is None:
        raise Problem(404, f"there is no track {track_id}")
    try:
        document: dict[str, Any] | None = await answered(
            services().database[TRACKS.name].find_one({"_id": track_id}, {"peaks": 1}), "reading a waveform"
        )
    except DocumentsUnavailable:
        document = None
    peaks = [int(value) for value in (document or {}).get("peaks") or ()]
    return answer(TrackDetail(**msgspec.structs.asdict(found), peaks=peaks))


@blueprint.get("/tracks/<int:track_id>/similar")
@tag(["catalogue"])
@document_response(SimilarView)
async def similar(track_id: int) -> Response:
    """Return tracks like one, nearest first (``limit`` 1 to 100); none where nothing is known of it yet."""
    await sender()
    limit = whole_number("limit", 20, least=1, most=100)
    catalogue = services().catalogue
    if catalogue.get(track_id) is None:
        raise Problem(404, f"there is no track {track_id}")
    model_id, found = await services().similar.near(track_id, limit, catalogue.version, catalogue.listed)
    items = []
    for one in found:
        reason = Reason(kind="audio" if one.by_sound else "similar", track_id=track_id)
        item = Item(track_id=one.track_id, score=one.cosine, reasons=[reason])
        items.append(item_view(item, catalogue.get))
    return answer(SimilarView(track_id=track_id, model_id=model_id, items=items))


@blueprint.get("/search")
@tag(["catalogue"])
@document_response(TrackPage)
async def search() -> Response:
    """Return tracks whose title or artist holds every word of ``q`` (``limit`` 1 to 100)."""
    await sender()
    limit = whole_number("limit", 30, least=1, most=100)
    words = request.args.get("q", "")
    if len(words) > _QUERY_CHARACTERS:
        raise Problem(400, f"q has at most {_QUERY_CHARACTERS} characters", field="q")
    return answer(TrackPage(tracks=await services().catalogue.search(words, limit)))


@blueprint.get("/charts")
@tag(["catalogue"])
@document_response(ChartsView)
async def charts() -> Response:
    """Return the newest charts, most listeners first (``limit`` 1 to 200).

    ``genre``: of this genre and all below it, by its name in any case; such a chart has up to 50 tracks.
    """
    await sender()
    limit = whole_number("limit", 50, least=1, most=200)
    catalogue = services().catalogue
    genre, charted = _charted(request.args.get("genre"))
    items = []
    for track_id, count in charted[:limit]:
        if catalogue.get(track_id) is not None:
            view = item_view(Item(track_id=track_id, score=float(count)), catalogue.get)
            items.append(ChartItem(**msgspec.structs.asdict(view), count=count))
    return answer(
        ChartsView(
            charts_id=catalogue.charts_id,
            created_ms=catalogue.charts_created_ms,
            items=items,
            from_ms=catalogue.charts_from_ms,
            genre=genre,
            genres=[ChartedGenre(genre=name, parent=parent) for name, parent in catalogue.charted_genres],
        )
    )


def _charted(name: str | None) -> tuple[str | None, list[tuple[int, int]]]:
    """Return the genre as it is spelled, and its chart; of no genre the overall chart.

    Raises
    ------
    Problem
        400 for a name that can be none, 404 for a genre that neither tree nor tracks know.
    """
    catalogue = services().catalogue
    if name is None:
        return None, catalogue.charts
    if not name or len(name) > _QUERY_CHARACTERS:
        raise Problem(400, f"genre has 1 to {_QUERY_CHARACTERS} characters", field="genre")
    found = catalogue.genre_chart(name)
    if found is None:
        raise Problem(404, f"there is no genre {name!r}: charts without genre name those that have one")
    return found


@blueprint.get("/tracks/<int:track_id>/audio")
@tag(["catalogue"])
async def audio(track_id: int) -> Response:
    """Return a track's sound, whole or one range of bytes."""
    await sender()
    found = services().catalogue.sound(track_id)
    path = await asyncio.to_thread(_file, found[0]) if found else None
    if found is None or path is None:
        raise Problem(404, f"track {track_id} has no sound")
    return await _sound(path, found[1])


def _file(stored: Path) -> Path | None:
    """Return the file of a track document: inside the data folder, or absolute as stored."""
    folder = services().settings.data_dir.resolve()
    path = stored if stored.is_absolute() else (folder / stored).resolve()
    inside = stored.is_absolute() or path.is_relative_to(folder)
    return path if inside and path.is_file() else None


async def _sound(path: Path, mime: str) -> Response:
    status = await asyncio.to_thread(path.stat)
    etag = f"{status.st_size:x}-{status.st_mtime_ns:x}"
    headers = {
        "Accept-Ranges": "bytes",
        "ETag": quote_etag(etag),
        "Cache-Control": "private, max-age=86400",
    }
    if etag in request.if_none_match:
        return Response(status=304, headers=headers)
    body = FileBody(path, buffer_size=_BUFFER_BYTES)
    span = _range(status.st_size, etag)
    if span is not None:
        begin, end = span
        await body.make_conditional(begin, end)
        headers["Content-Range"] = f"bytes {begin}-{end - 1}/{status.st_size}"
    headers["Content-Length"] = str(body.end - body.begin)
    response = Response(body, status=206 if span else 200, headers=headers, content_type=mime)
    response.timeout = _AUDIO_TIMEOUT_S
    return response


def _range(size: int, etag: str) -> tuple[int, int] | None:
    """Return the asked range ``[begin, end)`` in bytes; None means the whole file.

    Several ranges, another unit or an outdated ``If-Range`` are answered by the whole file.

    Raises
    ------
    Problem
        416 for a range past the end.
    """
    asked = parse_range_header(request.headers.get("Range"))
    if_range = request.headers.get("If-Range")
    if asked is None or asked.units != "bytes" or len(asked.ranges) != 1:
        return None
    if if_range is not None and if_range != quote_etag(etag):
        return None
    begin, end = asked.ranges[0]
    if begin < 0:
        begin, end = max(0, size + begin), size
    end = size if end is None else min(end, size)
    if begin >= end:
        raise Problem(416, f"the file has {size} bytes", headers={"Content-Range": f"bytes */{size}"})
    return begin, end
