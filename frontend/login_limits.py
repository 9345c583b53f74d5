"""Back-off after failed logins and a rate of new accounts, in memory and bounded."""

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

FREE_FAILURES = 5
FREE_FAILURES_OF_ADDRESS = 100  # many people may share one address
MAX_WAIT_S = 60.0
_KEYS = 10_000
_FORGET_AFTER_S = 900.0


@dataclass(slots=True)
class _Failures:
    count: int
    at: float


class LoginLimits:
    """After ``free`` failures of a key, each further try must wait 1, 2, 4 ... 60 seconds.

    At most 10,000 keys are kept; the ones longest untouched go first.
    """

    def __init__(self, *, free: int = FREE_FAILURES, now: Callable[[], float] = time.monotonic) -> None:
        self._free = free
        self._now = now
        self._failures: OrderedDict[str, _Failures] = OrderedDict()

    def wait_s(self, key: str) -> float:
        """Return the seconds until the next try is allowed; 0 when it is allowed now."""
        known = self._failures.get(key)
        if known is None or known.count < self._free:
            return 0.0
        wait = min(MAX_WAIT_S, 2.0 ** min(known.count - self._free, 10))
        return max(0.0, known.at + wait - self._now())

    def failed(self, key: str) -> None:
        """Count a failure."""
        now = self._now()
        known = self._failures.pop(key, None)
        before = known.count if known is not None and now - known.at <= _FORGET_AFTER_S else 0
        self._failures[key] = _Failures(before + 1, now)
        if len(self._failures) > _KEYS:
            self._failures.popitem(last=False)

    def succeeded(self, key: str) -> None:
        """Forget the failures of a key."""
        self._failures.pop(key, None)


class Bucket:
    """A token bucket per key: ``burst`` at once, then ``per_s`` each second; 10,000 keys at most."""

    def __init__(self, *, burst: float, per_s: float, now: Callable[[], float] = time.monotonic) -> None:
        self._burst = burst
        self._per_s = per_s
        self._now = now
        self._levels: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, key: str) -> float:
        """Take one token and return 0.0, or return the seconds until there is one."""
        now = self._now()
        level, at = self._levels.pop(key, (self._burst, now))
        level = min(self._burst, level + (now - at) * self._per_s)
        wait = 0.0 if level >= 1.0 else (1.0 - level) / self._per_s
        self._levels[key] = (level - 1.0 if wait == 0.0 else level, now)
        if len(self._levels) > _KEYS:
            self._levels.popitem(last=False)
        return wait
