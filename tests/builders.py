"""Valid events by keyword, with defaults that say nothing."""

from typing import Any

from schemas import events
from schemas.events import Event

NOW_MS = 1_780_000_000_000
DAY_MS = 86_400_000


def user_id(number: int) -> str:
    """Return the user id of a test user."""
    return f"{number:032x}"


def _envelope(given: dict[str, Any]) -> dict[str, Any]:
    return {"session": "s", "seq": 1, "client_time_ms": NOW_MS, "server_time_ms": NOW_MS} | given


def play(track_id: int = 1, **given: Any) -> events.Play:
    """Return a play that was heard to its end."""
    heard = {"listened_ms": 30_000, "track_ms": 30_000, "end_reason": "finished"}
    return events.Play(track_id=track_id, **(_envelope(heard | given)))


def skip(track_id: int = 1, **given: Any) -> events.Play:
    """Return a play that the user ended after two seconds."""
    return play(track_id, **({"listened_ms": 2_000, "end_reason": "skipped"} | given))


def like(track_id: int = 1, **given: Any) -> events.Like:
    """Return a like."""
    return events.Like(track_id=track_id, **_envelope(given))


def imported(track_id: int = 1, **given: Any) -> events.ImportedListens:
    """Return three imported listens."""
    return events.ImportedListens(track_id=track_id, **_envelope({"source": "hetrec", "count": 3} | given))


def event(kind: type[Any], **given: Any) -> Any:
    """Return an event of any user type."""
    return kind(**_envelope(given))


def generation() -> events.Generation:
    """Return the first record of a partition."""
    return events.Generation(generation="g1", partitions=12, server_time_ms=NOW_MS)


def records(*given: tuple[int | None, Event], start: int = 0) -> list[tuple[int, bytes | None, bytes | None]]:
    """Return log records of (user number or None, event)."""
    return [
        (start + at, None if user is None else user_id(user).encode(), events.encode(one))
        for at, (user, one) in enumerate(given)
    ]
