"""Users and their tokens."""

from typing import TypedDict

from schemas.documents.collection import UNIQUE, Collection


class Account(TypedDict):
    """``accounts``: the only place where a name meets a user id."""

    _id: str  # user id, 32 hexadecimal digits
    username: str
    username_folded: str  # unique, case folded
    password_hash: str  # argon2id
    created_ms: int
    session_epoch: int  # raised to end all sessions


class Token(TypedDict):
    """``tokens``: bearer tokens by their SHA-256; the token itself is not stored."""

    _id: str
    user_id: str
    created_ms: int


ACCOUNTS = Collection("accounts", (((("username_folded", 1),), UNIQUE),))
TOKENS = Collection("tokens", (((("user_id", 1),), {}),))
