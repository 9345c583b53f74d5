"""Back-off after failed logins and a rate of new accounts, in memory and bounded."""

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

FREE_FAILURES = 5
MAX_WAIT_S = 60.0
_KEYS = 10_000
_FORGET_AFTER_S = 900.0


@dataclass(slots=True)
class _Failures:
    count: int
    at: float


class LoginLimits:
    """After ``FREE_FAILURES`` failures of a key, each further try must wait 1, 2, 4 ... 60 seconds.

    A key is a user name or an address. At most 10,000 keys are kept; the ones longest untouched go first.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._failures: OrderedDict[str, _Failures] = OrderedDict()

    def wait_s(self, *keys: str) -> float:
        """Return the seconds until the next try is allowed; 0 when it is allowed now."""
        return max((self._wait_of(key) for key in keys), default=0.0)

    def failed(self, *keys: str) -> None:
        """Count a failure for each key."""
        now = self._now()
        for key in keys:
            known = self._failures.pop(key, None)
            fresh = known is None or now - known.at > _FORGET_AFTER_S
            self._failures[key] = _Failures(1 if fresh else known.count + 1, now)  # type: ignore[union-attr]
            if len(self._failures) > _KEYS:
                self._failures.popitem(last=False)

    def succeeded(self, *keys: str) -> None:
        """Forget the failures of each key."""
        for key in keys:
            self._failures.pop(key, None)

    def _wait_of(self, key: str) -> float:
        known = self._failures.get(key)
        if known is None or known.count < FREE_FAILURES:
            return 0.0
        wait = min(MAX_WAIT_S, 2.0 ** min(known.count - FREE_FAILURES, 10))
        return max(0.0, known.at + wait - self._now())


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
