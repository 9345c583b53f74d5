"""``/livez`` and ``/readyz``."""

from quart import Blueprint, Response
from quart_schema import hide

from frontend.routes.requests import answer
from frontend.services import services

blueprint = Blueprint("operation", __name__)


@blueprint.get("/livez")
@hide
async def livez() -> Response:
    """Answer while the process runs."""
    return answer({"alive": True})


@blueprint.get("/readyz")
@hide
async def readyz() -> Response:
    """Answer 200 only when plays are accepted and lists flow."""
    parts = await services().ready()
    return answer(parts, 200 if all(parts.values()) else 503)
