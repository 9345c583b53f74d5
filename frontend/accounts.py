"""Accounts and bearer tokens: the only place where a name meets a user id."""

import asyncio
import hashlib
import secrets
import time
import unicodedata
from typing import cast

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from pymongo.errors import DuplicateKeyError

from connections.documents import Database, answered
from frontend.problems import Problem
from schemas.documents import ACCOUNTS, TOKENS, Account

USERNAME_CHARACTERS = (3, 64)
PASSWORD_CHARACTERS = (8, 256)
_TOKEN_BYTES = 32
# One hash takes 64 MiB and a core for some 50 ms: more at once would starve the live lists.
_HASHES_AT_ONCE = 2


class Accounts:
    """Creates accounts, checks passwords and makes tokens; passwords are stored as argon2id."""

    def __init__(self, database: Database) -> None:
        self._accounts = database[ACCOUNTS.name]
        self._tokens = database[TOKENS.name]
        self._hasher = PasswordHasher()
        self._gate = asyncio.Semaphore(_HASHES_AT_ONCE)
        self._decoy: str | None = None

    async def create(self, username: str, password: str) -> Account:
        """Create and return an account.

        Raises
        ------
        Problem
            400 for a name or password that is not acceptable, 409 for a name that is taken.
        DocumentsUnavailable
        """
        name = unicodedata.normalize("NFKC", username).strip()
        _check(name, password)
        account = Account(
            _id=secrets.token_hex(16),
            username=name,
            username_folded=_folded(name),
            password_hash=await self._hash(password),
            created_ms=time.time_ns() // 1_000_000,
            session_epoch=0,
        )
        try:
            await answered(self._accounts.insert_one(dict(account)), "creating an account")
        except DuplicateKeyError:
            raise Problem(409, f"the user name {name!r} is taken", field="username") from None
        return account

    async def verified(self, username: str, password: str) -> Account | None:
        """Return the account that this name and password belong to, or None; takes as long either way."""
        found = await answered(
            self._accounts.find_one({"username_folded": _folded(username)}), "looking up an account"
        )
        stored = found["password_hash"] if found else await self._decoy_hash()
        matches = await self._verify(stored, password)
        return cast(Account, found) if found and matches else None

    async def by_id(self, user_id: str) -> Account | None:
        """Return the account of a user id, or None."""
        found = await answered(self._accounts.find_one({"_id": user_id}), "looking up an account")
        return cast(Account, found) if found else None

    async def end_sessions(self, user_id: str) -> None:
        """Make every session cookie of the user void."""
        await answered(
            self._accounts.update_one({"_id": user_id}, {"$inc": {"session_epoch": 1}}), "ending sessions"
        )

    async def make_token(self, user_id: str) -> str:
        """Return a new bearer token; only its SHA-256 is stored."""
        token = secrets.token_urlsafe(_TOKEN_BYTES)
        document = {
            "_id": token_digest(token),
            "user_id": user_id,
            "created_ms": time.time_ns() // 1_000_000,
        }
        await answered(self._tokens.insert_one(document), "storing a token")
        return token

    async def user_of_token(self, digest: str) -> str | None:
        """Return the user id that a token's SHA-256 stands for, or None."""
        found = await answered(self._tokens.find_one({"_id": digest}), "looking up a token")
        return found["user_id"] if found else None

    async def delete_token(self, digest: str) -> None:
        """Make a token void."""
        await answered(self._tokens.delete_one({"_id": digest}), "deleting a token")

    async def _hash(self, password: str) -> str:
        async with self._gate:
            return await asyncio.to_thread(self._hasher.hash, password)

    async def _verify(self, stored: str, password: str) -> bool:
        async with self._gate:
            try:
                return await asyncio.to_thread(self._hasher.verify, stored, password)
            except (VerificationError, InvalidHashError):
                return False

    async def _decoy_hash(self) -> str:
        if self._decoy is None:
            self._decoy = await self._hash(secrets.token_hex(8))
        return self._decoy


def token_digest(token: str) -> str:
    """Return the SHA-256 of a token in hexadecimal."""
    return hashlib.sha256(token.encode()).hexdigest()


def _folded(username: str) -> str:
    return unicodedata.normalize("NFKC", username).strip().casefold()


def _check(name: str, password: str) -> None:
    least, most = USERNAME_CHARACTERS
    if not least <= len(name) <= most or any(unicodedata.category(c)[0] == "C" for c in name):
        raise Problem(400, f"a user name has {least} to {most} printable characters", field="username")
    least, most = PASSWORD_CHARACTERS
    if not least <= len(password) <= most:
        raise Problem(400, f"a password has {least} to {most} characters", field="password")
