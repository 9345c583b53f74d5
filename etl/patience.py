"""How long to wait for a server, and when to ask it again."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

from stamina.instrumentation import RetryDetails, get_on_retry_hooks, set_on_retry_hooks

from etl.sizes import MIB
from schemas.errors import Unavailable

_LONGEST_ASKED_PAUSE_S = 300.0


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait, and how often to try again.

    Attributes
    ----------
    attempts : requests in a row that bring less than ``gain`` new bytes before giving up
    gain : bytes
    connect_s : seconds to connect
    silence_s : seconds without a byte after which a connection counts as lost
    first_pause_s, longest_pause_s : seconds; pauses between attempts double from one to the other
    """

    attempts: int = 8
    gain: int = MIB
    connect_s: float = 20.0
    silence_s: float = 60.0
    first_pause_s: float = 0.5
    longest_pause_s: float = 60.0


class NotNow(Unavailable):
    """A request that is worth repeating, after ``pause_s`` seconds if the server said so."""

    def __init__(self, message: str, pause_s: float | None = None) -> None:
        super().__init__(message)
        self.pause_s = pause_s


def pause(error: Exception) -> bool | float:
    """Say to stamina whether to try again, and after how long if the server said so."""
    if not isinstance(error, NotNow):
        return False
    return True if error.pause_s is None else error.pause_s


@contextmanager
def saying_retries() -> Iterator[None]:
    """Say each retry in one plain line on stderr while the block runs, in the place of stamina's own logs."""
    before = get_on_retry_hooks()
    set_on_retry_hooks([_say])
    try:
        yield
    finally:
        set_on_retry_hooks(before)


def _say(details: RetryDetails) -> None:
    print(f"{details.caused_by}; asking again in {details.wait_for:.1f} s", file=sys.stderr, flush=True)


def retry_after_s(header: str | None, now_s: float) -> float | None:
    """Return the seconds that a ``Retry-After`` asks for, at most 300; None when it says nothing usable.

    It is a number of seconds or a date (RFC 9110, section 10.2.3).
    """
    if header is None:
        return None
    text = header.strip()
    try:
        seconds = float(text) if text.isdecimal() else parsedate_to_datetime(text).timestamp() - now_s
    except ValueError:
        return None
    return min(max(seconds, 0.0), _LONGEST_ASKED_PAUSE_S)
