"""Refuse what another web site makes a listener's browser send (CSRF)."""

from urllib.parse import urlsplit

from quart import request

from frontend.problems import Problem

_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


def check_same_origin() -> None:
    """Return if the current request may act with the rights of a cookie.

    A browser names the sender of an unsafe request in ``Origin`` and ``Sec-Fetch-Site`` and a page cannot
    forge either. A client without both sends no cookie by itself, but must then use a bearer token.

    Raises
    ------
    Problem
        403 when the sender is another site or does not name itself.
    """
    if request.method in _SAFE:
        return
    origin = request.headers.get("Origin")
    site = request.headers.get("Sec-Fetch-Site")
    if origin is None and site is None:
        raise Problem(403, "a request with a session cookie must carry Origin or Sec-Fetch-Site")
    if site is not None and site != "same-origin":
        raise Problem(403, f"refused: sent by another site (Sec-Fetch-Site: {site})")
    if origin is not None and urlsplit(origin).netloc.lower() != request.host.lower():
        raise Problem(403, "refused: sent by another site (Origin)")


def check_json() -> None:
    """Return if the body claims to be JSON, which no cross-site form can do.

    Raises
    ------
    Problem
        415 for another content type.
    """
    if request.mimetype != "application/json":
        raise Problem(415, "the content type must be application/json")
