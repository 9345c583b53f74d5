"""``/api/v1/accounts``, ``session``, ``tokens``: register, log in, log out, bearer tokens."""

import asyncio

import msgspec
from quart import Blueprint, Response, request
from quart_auth import AuthUser, login_user, logout_user
from quart_schema import document_request, document_response, tag

from frontend.problems import Problem, too_many
from frontend.routes.requests import answer, body, sender, stranger
from frontend.services import services
from schemas.documents import Account
from schemas.errors import DocumentsUnavailable

blueprint = Blueprint("accounts", __name__, url_prefix="/api/v1")
_INDEX_WAIT_S = 3.0


class Credentials(msgspec.Struct):
    """User name and password."""

    username: str
    password: str


class SessionView(msgspec.Struct):
    """Who is logged in; ``username`` is null for nobody, and while MongoDB is away."""

    username: str | None
    logged_in: bool = True


class TokenView(msgspec.Struct):
    """A bearer token; it is shown once."""

    token: str


@blueprint.post("/accounts")
@tag(["accounts"])
@document_request(Credentials)
@document_response(SessionView, 201)
async def register() -> Response:
    """Create an account and log in."""
    await stranger()
    wait_s = services().new_accounts.take(_address())
    if wait_s:
        raise too_many(wait_s, "too many new accounts from this address")
    credentials = await body(Credentials)
    try:
        async with asyncio.timeout(_INDEX_WAIT_S):
            await services().indexed.wait()
    except TimeoutError:
        raise DocumentsUnavailable("accounts cannot be created while MongoDB is away") from None
    account = await services().accounts.create(credentials.username, credentials.password)
    _log_in(account)
    return answer(SessionView(account["username"]), 201)


@blueprint.post("/session")
@tag(["accounts"])
@document_request(Credentials)
@document_response(SessionView)
async def log_in() -> Response:
    """Log in: sets the session cookie."""
    account = await _verified()
    _log_in(account)
    return answer(SessionView(account["username"]))


@blueprint.get("/session")
@tag(["accounts"])
@document_response(SessionView)
async def who() -> Response:
    """Return who is logged in."""
    try:
        identity = await sender()
    except Problem as problem:
        if problem.status != 401:
            raise
        return answer(SessionView(None, logged_in=False))
    try:
        account = await services().accounts.by_id(identity.user_id)
    except DocumentsUnavailable:
        account = None
    return answer(SessionView(account["username"] if account else None))


@blueprint.delete("/session")
@tag(["accounts"])
async def log_out() -> Response:
    """Log out: ends the cookie, or the bearer token; ``?everywhere=true`` ends every session of the user."""
    identity = await sender()
    if identity.token_digest is not None:
        await services().accounts.delete_token(identity.token_digest)
    elif request.args.get("everywhere") == "true":
        await services().accounts.end_sessions(identity.user_id)
        services().lists.close_user(identity.user_id)
    services().identities.forget(identity)
    logout_user()
    return Response(status=204)


@blueprint.post("/tokens")
@tag(["accounts"])
@document_request(Credentials)
@document_response(TokenView, 201)
async def make_token() -> Response:
    """Make a bearer token for a program."""
    account = await _verified()
    token = await services().accounts.make_token(account["_id"])
    services().identities.token_made(token, account["_id"])
    return answer(TokenView(token), 201)


async def _verified() -> Account:
    await stranger()
    credentials = await body(Credentials)
    names, addresses = services().name_limits, services().address_limits
    # A stranger's failures elsewhere must not keep the owner of a name out: the address is part of it.
    name = f"{credentials.username[:64].casefold()} {_address()}"
    wait_s = max(names.wait_s(name), addresses.wait_s(_address()))
    if wait_s:
        raise too_many(wait_s, "too many failed logins; wait a moment")
    account = await services().accounts.verified(credentials.username[:64], credentials.password[:256])
    if account is None:
        names.failed(name)
        addresses.failed(_address())
        raise Problem(401, "user name or password is wrong")
    names.succeeded(name)
    return account


def _log_in(account: Account) -> None:
    services().identities.logged_in(account)
    login_user(AuthUser(f"{account['_id']}.{account['session_epoch']}"), remember=True)


def _address() -> str:
    return request.remote_addr or "local"
