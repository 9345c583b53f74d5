"""Identifiers of tracks, artists and users that come from outside."""

import hashlib

from schemas.events import MAX_ID

_FIRST = 2**32


def foreign_id(source: str, key: str) -> int:
    """Return the id of something that has no number of its own: 2^32 plus a hash, at most 2^53 - 1.

    FMA's own ids stay below 2^32. Two keys with one id are refused where tracks are written.
    """
    digest = hashlib.blake2b(f"{source}:{key}".encode(), digest_size=8).digest()
    return _FIRST + int.from_bytes(digest, "big") % (MAX_ID + 1 - _FIRST)


def imported_user_id(source: str, key: str) -> str:
    """Return the user id (32 hexadecimal digits) of an imported user; the same at every import."""
    return hashlib.blake2b(f"{source}:{key}".encode(), digest_size=16).hexdigest()
