"""What every route needs of a request: who sends it, and its JSON."""

from typing import Any, TypeVar

import msgspec
from quart import Response, request

from frontend.identity import Identity
from frontend.problems import Problem
from frontend.same_origin import check_json, check_same_origin
from frontend.services import services

T = TypeVar("T")
_encoder = msgspec.json.Encoder()


async def sender() -> Identity:
    """Return who sends the request; a browser's unsafe request must come from our own page.

    Raises
    ------
    Problem
        401 without a valid login, 403 when another site sends it.
    """
    identity = await services().identities.of_request()
    if identity.by_cookie:
        check_same_origin()
    return identity


async def stranger() -> None:
    """Check a request that needs no login: one that a browser sends must come from our own page."""
    if "Origin" in request.headers or "Sec-Fetch-Site" in request.headers:
        check_same_origin()


async def body(kind: type[T]) -> T:
    """Return the JSON body as ``kind``.

    Raises
    ------
    Problem
        415 for another content type, 400 for a body that is not of this shape.
    """
    check_json()
    try:
        return msgspec.json.decode(await request.get_data(cache=False), type=kind)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise Problem(400, f"the body is not acceptable: {error}") from None


def answer(value: Any, status: int = 200) -> Response:
    """Return ``value`` as JSON that nobody else may keep."""
    return Response(
        _encoder.encode(value),
        status=status,
        headers={"Cache-Control": "private, no-store"},
        content_type="application/json",
    )


def whole_number(name: str, default: int, *, least: int, most: int) -> int:
    """Return a query parameter.

    Raises
    ------
    Problem
        400 when it is not an integer from ``least`` to ``most``.
    """
    text = request.args.get(name)
    if text is None:
        return default
    try:
        value = int(text) if len(text) <= 20 else most + 1
    except ValueError:
        value = most + 1
    if not least <= value <= most:
        raise Problem(400, f"{name} must be an integer from {least} to {most}", field=name)
    return value
