"""When a snapshot is worth a training. Pure."""

from dataclasses import dataclass

from recommender.history import FOLD_VERSION
from schemas.snapshots import Manifest

GROWTH = 0.10
LEAST_EVENTS = 200


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


def is_due(
    manifest: Manifest,
    *,
    served: bool,
    tried: Tried | None,
    now_s: float,
    interval_s: float | None,
    min_users: int,
) -> bool:
    """Say whether to train on the newest snapshot.

    Without a served model: as soon as there are enough users, and then with every snapshot that holds
    more than the one tried before. With one: when the snapshot holds 10 % and 200 applied events more than
    the one tried last, or any more once ``interval_s`` have passed.
    """
    if manifest.fold_version != FOLD_VERSION or manifest.users < min_users:
        return False
    if tried is None:
        return True
    more = manifest.counts.get("applied", 0) - tried.applied
    if more <= 0:
        return False
    if not served or (interval_s is not None and now_s - tried.at_s >= interval_s):
        return True
    return more >= LEAST_EVENTS and more >= GROWTH * tried.applied
