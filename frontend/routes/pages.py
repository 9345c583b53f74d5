"""The browser client, as it was built into ``web/dist``."""

from pathlib import Path

from quart import Blueprint, Response, send_from_directory
from quart_schema import hide

from frontend.problems import Problem

DIST = Path(__file__).parents[1] / "web" / "dist"
_FILES = frozenset({"app.js", "app.js.map", "styles.css", "styles.css.map", "icon.svg"})
blueprint = Blueprint("pages", __name__)


@blueprint.get("/")
@hide
async def page() -> Response:
    """Return the page."""
    return await _built("index.html")


@blueprint.get("/<name>")
@hide
async def asset(name: str) -> Response:
    """Return a file of the browser client."""
    if name not in _FILES:
        raise Problem(404, "there is no such page")
    return await _built(name)


async def _built(name: str) -> Response:
    if not (DIST / name).is_file():
        raise Problem(503, "the browser client is not built: run `make setup`")
    response = await send_from_directory(DIST, name)
    response.headers["Cache-Control"] = "no-cache"
    return response
