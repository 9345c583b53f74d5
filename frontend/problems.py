"""Errors as ``application/problem+json`` (RFC 9457): the one edge where exceptions become HTTP."""

import json
from http import HTTPStatus
from typing import Any

import structlog
from quart import Quart, Response
from werkzeug.exceptions import HTTPException

from connections.intake import RejectedEvent
from schemas.errors import MalformedEvent, Unavailable

_log = structlog.get_logger()
RETRY_AFTER_S = 2


class Problem(Exception):
    """An answer other than success: status, one sentence, and further members of the document."""

    def __init__(
        self, status: int, detail: str, *, headers: dict[str, str] | None = None, **members: Any
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = headers or {}
        self.members = members


def too_many(wait_s: float, detail: str) -> Problem:
    """Return the answer to one who must wait."""
    return Problem(429, detail, headers={"Retry-After": str(max(1, round(wait_s + 0.5)))})


def response(problem: Problem) -> Response:
    """Return the problem as an HTTP response."""
    document = {
        "type": "about:blank",
        "title": HTTPStatus(problem.status).phrase,
        "status": problem.status,
        "detail": problem.detail,
        **problem.members,
    }
    return Response(
        json.dumps(document),
        status=problem.status,
        headers=problem.headers,
        content_type="application/problem+json",
    )


def register(app: Quart) -> None:
    """Answer every error of ``app`` by a problem document."""

    async def on_problem(error: Problem) -> Response:
        return response(error)

    async def on_malformed(error: MalformedEvent) -> Response:
        if isinstance(error, RejectedEvent):
            return response(Problem(400, str(error), index=error.index, field=error.field))
        return response(Problem(400, str(error)))

    async def on_unavailable(error: Unavailable) -> Response:
        _log.warning("unavailable", reason=str(error))
        return response(Problem(503, str(error), headers={"Retry-After": str(RETRY_AFTER_S)}))

    async def on_http(error: HTTPException) -> Response:
        headers = {name: value for name, value in error.get_headers() if name in ("Allow", "Content-Range")}
        return response(Problem(error.code or 500, error.description or "", headers=headers))

    app.register_error_handler(Problem, on_problem)
    app.register_error_handler(MalformedEvent, on_malformed)
    app.register_error_handler(Unavailable, on_unavailable)
    app.register_error_handler(HTTPException, on_http)
