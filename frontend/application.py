"""The Quart application: configuration, routes, errors and headers in one place."""

from collections.abc import AsyncGenerator

from quart import Quart, Response
from quart_auth import QuartAuth
from quart_schema import Info, QuartSchema

from frontend import problems
from frontend.routes import accounts, events, lists, operation, pages, tracks
from frontend.secret_key import secret_key
from frontend.services import EXTENSION, open_services
from schemas.settings import Settings

BODY_MAX_BYTES = 65_536
_SESSION_S = 30 * 24 * 3_600
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data:; media-src 'self'; "
        "connect-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


def create_app(settings: Settings) -> Quart:
    """Return the application; its services are opened when it starts to serve."""
    app = Quart(__name__, static_folder=None)
    app.config.update(
        MAX_CONTENT_LENGTH=BODY_MAX_BYTES,
        BODY_TIMEOUT=10,
        QUART_AUTH_COOKIE_NAME="segue_session",
        QUART_AUTH_COOKIE_SECURE=settings.secure_cookies,
        QUART_AUTH_COOKIE_SAMESITE="Lax",
        QUART_AUTH_COOKIE_HTTP_ONLY=True,
        QUART_AUTH_DURATION=_SESSION_S,
        QUART_AUTH_SALT="segue session",
    )
    app.secret_key = secret_key(settings)
    QuartAuth(app)
    QuartSchema(
        app,
        openapi_path="/api/v1/openapi.json",
        redoc_ui_path=None,
        scalar_ui_path=None,
        swagger_ui_path=None,
        info=Info(title="Segue", version="1", description="docs/api.md describes the events and the stream."),
        conversion_preference="msgspec",
        security_schemes={
            "bearer": {"type": "http", "scheme": "bearer"},
            "session": {"type": "apiKey", "in_": "cookie", "name": "segue_session"},
        },
        security=[{"bearer": []}, {"session": []}],
    )
    problems.register(app)
    for routes in (accounts, events, lists, tracks, operation, pages):
        app.register_blueprint(routes.blueprint)
    app.after_request(_secure)

    @app.while_serving
    async def lifespan() -> AsyncGenerator[None, None]:
        async with open_services(settings) as services:
            app.extensions[EXTENSION] = services
            yield

    return app


async def _secure(response: Response) -> Response:
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)
    return response
