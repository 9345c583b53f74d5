"""Who is asking: a signed session cookie or a bearer token, checked also while MongoDB is away.

What was checked once is kept in a bounded memory. An entry older than ``FRESH_S`` is still used, and
looked up again in the background: an ended session is refused within seconds, and an outage of
MongoDB stops nobody who was known before.
"""

import asyncio
import time
from collections import OrderedDict
from dataclasses import dataclass

import structlog
from quart import request
from quart_auth import current_user

from frontend.accounts import Accounts, token_digest
from frontend.problems import Problem
from schemas.documents import Account
from schemas.errors import DocumentsUnavailable

FRESH_S = 5.0
_ENTRIES = 50_000
_TOKEN_MAX_CHARACTERS = 128
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Identity:
    """The user of a request; ``by_cookie`` says whether a browser sent the proof by itself."""

    user_id: str
    by_cookie: bool
    token_digest: str | None = None


@dataclass(slots=True)
class _Known:
    value: str | int | None
    checked_at: float
    checking: bool = False


class Identities:
    """Resolves requests to users."""

    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self._checks: set[asyncio.Task[None]] = set()

    async def of_request(self) -> Identity:
        """Return who sends the current request.

        Raises
        ------
        Problem
            401 when the request carries no valid proof.
        DocumentsUnavailable
            The proof is not known here and cannot be looked up now.
        """
        authorization = request.headers.get("Authorization")
        if authorization is not None:
            return await self._by_token(authorization)
        user_id, _, epoch = (current_user.auth_id or "").partition(".")
        if not user_id or not epoch.isdigit() or await self._value("epoch:" + user_id) != int(epoch):
            raise Problem(401, "log in first", headers={"WWW-Authenticate": "Bearer"})
        return Identity(user_id, by_cookie=True)

    def logged_in(self, account: Account) -> None:
        """Remember an account whose password was just checked."""
        self._store("epoch:" + account["_id"], account["session_epoch"])

    def token_made(self, token: str, user_id: str) -> None:
        """Remember a token that was just made."""
        self._store("token:" + token_digest(token), user_id)

    def forget(self, identity: Identity) -> None:
        """Look this user's sessions, and this token, up again at the next request."""
        self._known.pop("epoch:" + identity.user_id, None)
        self._known.pop(f"token:{identity.token_digest}", None)

    async def _by_token(self, authorization: str) -> Identity:
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() == "bearer" and 0 < len(token) <= _TOKEN_MAX_CHARACTERS:
            digest = token_digest(token)
            user_id = await self._value("token:" + digest)
            if isinstance(user_id, str):
                return Identity(user_id, by_cookie=False, token_digest=digest)
        raise Problem(401, "the bearer token is not valid", headers={"WWW-Authenticate": "Bearer"})

    async def _value(self, key: str) -> str | int | None:
        known = self._known.get(key)
        if known is None:
            return await self._look_up(key)
        self._known.move_to_end(key)
        if time.monotonic() - known.checked_at > FRESH_S and not known.checking:
            known.checking = True
            task = asyncio.create_task(self._check_again(key, known))
            self._checks.add(task)
            task.add_done_callback(self._checks.discard)
        return known.value

    async def _check_again(self, key: str, known: _Known) -> None:
        try:
            await self._look_up(key)
        except DocumentsUnavailable as error:
            known.checked_at = time.monotonic()
            _log.warning("identity not checked again", reason=str(error))
        finally:
            known.checking = False

    async def _look_up(self, key: str) -> str | int | None:
        kind, _, name = key.partition(":")
        value: str | int | None
        if kind == "token":
            value = await self._accounts.user_of_token(name)
        else:
            account = await self._accounts.by_id(name)
            value = account["session_epoch"] if account else None
        if value is None:
            # Unknown proofs are not kept: they would push the known ones out.
            self._known.pop(key, None)
        else:
            self._store(key, value)
        return value

    def _store(self, key: str, value: str | int) -> None:
        self._known[key] = _Known(value, time.monotonic())
        self._known.move_to_end(key)
        if len(self._known) > _ENTRIES:
            self._known.popitem(last=False)
