"""How archived events change the hourly buckets: who listened last when, and what that moves."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

HOUR_MS = 3_600_000


@dataclass
class Batch:
    """Archived events in the order of their partitions, as they change who listened to what."""

    newest: dict[tuple[str, int], int] = field(default_factory=dict)  # (user id, track id) -> hour
    forgotten: set[str] = field(default_factory=set)  # users; before what is in ``newest``

    def take(self, event: Mapping[str, Any], from_hour: int) -> None:
        """Add the next archived event; a listen before ``from_hour`` changes nothing."""
        user_id = event["user_id"]
        if event["type"] == "forget":
            self.forgotten.add(user_id)
            self.newest = {pair: hour for pair, hour in self.newest.items() if pair[0] != user_id}
            return
        hour = event["server_time_ms"] // HOUR_MS
        if hour >= from_hour:
            pair = (user_id, event["track_id"])
            self.newest[pair] = max(hour, self.newest.get(pair, hour))


@dataclass
class Changes:
    """What a batch changes, added up."""

    hours: Counter[tuple[int, int]] = field(default_factory=Counter)  # (hour, track id) -> listeners
    tracks: Counter[int] = field(default_factory=Counter)

    def move(self, track_id: int, before: int | None, after: int | None) -> None:
        """Note that the newest listen of somebody moves from one hour to another; None: there is none."""
        for hour, listeners in ((before, -1), (after, 1)):
            if hour is not None:
                self.hours[hour, track_id] += listeners
                self.tracks[track_id] += listeners
