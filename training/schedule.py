"""When a snapshot is worth a training. Pure."""

from dataclasses import dataclass

from recommender.history import FOLD_VERSION
from schemas.snapshots import Manifest

GROWTH = 0.10
LEAST_EVENTS = 200
MOVED_SHARE = 0.30
LEAST_SAMPLE = 20


@dataclass(frozen=True)
class Tried:
    """The newest training, whatever became of it.

    Attributes
    ----------
    applied : applied events in its snapshot
    at_s : when it ended, seconds since 1970
    """

    applied: int
    at_s: float


@dataclass(frozen=True)
class Drift:
    """How far the taste of a sample of users has gone from what the served model was trained on.

    Attributes
    ----------
    users : sampled
    moved : of them, whose folded-in factors have moved by more than half of their length
    """

    users: int
    moved: int

    @property
    def share(self) -> float:
        """Share of the sample that has moved, 0 to 1."""
        return self.moved / self.users if self.users else 0.0


def reason_to_train(
    manifest: Manifest,
    *,
    served: bool,
    tried: Tried | None,
    now_s: float,
    interval_s: float | None,
    min_users: int,
) -> str | None:
    """Return why to train on the newest snapshot, None where there is no reason yet.

    Without a served model: as soon as there are enough users, and then with every snapshot that holds
    more than the one tried before. With one: when the snapshot holds 10 % and 200 applied events more than
    the one tried last, or any more once ``interval_s`` have passed. The third
    reason is drift, see ``drift_counts``.
    """
    if manifest.fold_version != FOLD_VERSION or manifest.users < min_users:
        return None
    if tried is None:
        return f"the first snapshot with {min_users} users or more"
    more = _more(manifest, tried)
    if more <= 0:
        return None
    if not served:
        return f"no model is in service, and {more} events are new"
    waited_s = now_s - tried.at_s
    if interval_s is not None and waited_s >= interval_s:
        return f"age: {waited_s:.0f} s since the last training, and {more} events are new"
    if more >= LEAST_EVENTS and more >= GROWTH * tried.applied:
        return f"volume: {more} events more than the {tried.applied} tried last"
    return None


def drift_counts(manifest: Manifest, *, served: bool, tried: Tried | None) -> bool:
    """Say whether enough has happened since the last training for drift to be measured: 200 events."""
    if manifest.fold_version != FOLD_VERSION or not served or tried is None:
        return False
    return _more(manifest, tried) >= LEAST_EVENTS


def reason_by_drift(drift: Drift) -> str | None:
    """Return why to train when at least 30 % of 20 or more sampled users have moved."""
    if drift.users < LEAST_SAMPLE or drift.share < MOVED_SHARE:
        return None
    return f"drift: the taste of {drift.moved} of {drift.users} sampled users has moved"


def _more(manifest: Manifest, tried: Tried) -> int:
    return manifest.counts.get("applied", 0) - tried.applied
