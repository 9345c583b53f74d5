"""Accounts for the users of an imported data set, so that one can see the player as one of them."""

from collections.abc import Mapping

import argon2
from pymongo import UpdateOne
from pymongo.errors import BulkWriteError

from connections.documents import Database, answered
from etl.load import now_ms
from schemas.documents import ACCOUNTS, Account
from schemas.errors import InvalidInput

NO_PASSWORD = "!"  # no argon2 hash: every login is refused
_LENGTHS = range(8, 257)


async def ensure_accounts(database: Database, names: Mapping[str, str], password: str | None) -> int:
    """Create the accounts that are missing and, if given, set the password of all; return how many are new.

    Parameters
    ----------
    names : username by user id
    password : one for all of them, 8 to 256 characters; None leaves existing passwords as they are

    Raises
    ------
    InvalidInput
        The password is too short or too long, or a username belongs to somebody else.
    """
    if password is not None and len(password) not in _LENGTHS:
        raise InvalidInput(f"a password has {_LENGTHS[0]} to {_LENGTHS[-1]} characters, not {len(password)}")
    # one hash for all: the password is shared anyhow, and 1,892 of them would take minutes
    hashed = argon2.PasswordHasher().hash(password) if password is not None else NO_PASSWORD
    operations = [
        _upsert(
            Account(
                _id=user_id,
                username=name,
                username_folded=name.casefold(),
                password_hash=hashed,
                created_ms=now_ms(),
                session_epoch=0,
            ),
            set_password=password is not None,
        )
        for user_id, name in names.items()
    ]
    if not operations:
        return 0
    try:
        result = await answered(
            database[ACCOUNTS.name].bulk_write(operations, ordered=False), "writing accounts"
        )
    except BulkWriteError as error:
        taken = error.details["writeErrors"][0]
        raise InvalidInput(f"an account could not be made: {taken['errmsg']}") from error
    return int(result.upserted_count)


def _upsert(account: Account, *, set_password: bool) -> UpdateOne:
    fields = {name: value for name, value in account.items() if name != "_id"}
    if not set_password:
        return UpdateOne({"_id": account["_id"]}, {"$setOnInsert": fields}, upsert=True)
    del fields["password_hash"]
    return UpdateOne(
        {"_id": account["_id"]},
        {"$set": {"password_hash": account["password_hash"]}, "$setOnInsert": fields},
        upsert=True,
    )
