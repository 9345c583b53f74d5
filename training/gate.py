"""Whether a model may be served, and why not. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recommender.metrics import Interval
from recommender.model import Model

MANY_USERS = 200
LEAST_COVERED = 0.99
SERVED_MARGIN = 0.10
FRESH_USERS = 50
PASSED = "passed"
Verdicts = dict[str, str | None]
"""Rule -> why it refuses, None where it does not."""


@dataclass(frozen=True)
class Served:
    """The model in service.

    Attributes
    ----------
    evaluation : what was published with it
    snapshot_s : until when its snapshot holds events, seconds since 1970; newer interactions are unseen by it
    """

    model: Model
    evaluation: Mapping[str, Any]
    snapshot_s: float


def reasons(verdicts: Verdicts) -> list[str]:
    """Return why a model is refused; empty where it may be served."""
    return [reason for reason in verdicts.values() if reason]


def in_words(verdicts: Verdicts) -> dict[str, str]:
    """Return each verdict as it is kept with the model."""
    return {rule: reason or PASSED for rule, reason in verdicts.items()}


def not_finite(rows: NDArray[np.float32]) -> str | None:
    """Refuse factors that are not finite, or that are all zero."""
    bad = int(rows.size - np.isfinite(rows).sum())
    if bad:
        return f"{bad} of {rows.size} numbers of the item factors are not finite"
    return "all item factors are zero" if not rows.any() else None


def not_covering(folded: int, users: int, lists: NDArray[np.int64]) -> str | None:
    """Refuse a model that cannot make a list for 99 % of the judged users, or makes one list for all.

    Parameters
    ----------
    folded : judged users that the model could fold in
    lists : int64 [users, k], ranked items
    """
    if folded < LEAST_COVERED * users:
        return f"lists for {folded} of {users} judged users only; {LEAST_COVERED:.0%} are needed"
    if users > 1 and (lists == lists[0]).all():
        return "every judged user gets the same list"
    return None


def not_better_than_popularity(gain: Interval, users: int) -> str | None:
    """Refuse by NDCG@10 against popularity on the same users and tracks.

    From 200 judged users on, the mean difference decides. Below, a mean is mostly noise: refused is only
    what is worse with confidence, that is, when the whole 95 % interval of the paired difference lies
    below zero.
    """
    worse = gain.mean <= 0 if users >= MANY_USERS else gain.high < 0
    if not worse:
        return None
    return (
        f"NDCG@10 is not better than popularity's: difference {gain.mean:+.4f} "
        f"({gain.low:+.4f} to {gain.high:+.4f}) over {users} users"
    )


def worse_than_served(evaluation: Mapping[str, Any], served: Mapping[str, Any] | None) -> str | None:
    """Refuse a model that is worse than the served one beyond a margin of 10 % of its NDCG@10.

    An honest comparison needs interactions that neither model has seen: held-out ones newer than the
    served model's snapshot. With 50 users or more of that kind, the paired difference on them decides: its
    whole interval must lie below minus the margin. Otherwise the served model's own evaluation stands in,
    and the model's upper bound must reach it less the margin; two splits of another kind do not compare.

    Parameters
    ----------
    evaluation : this model's
    served : the evaluation that was published with the served model
    """
    fresh = evaluation.get("served")
    if fresh and fresh["users"] >= FRESH_USERS:
        margin = SERVED_MARGIN * fresh["ndcg_at_10"]
        if fresh["difference"]["high"] < -margin:
            return (
                f"NDCG@10 is worse than the served model's {fresh['ndcg_at_10']:.4f} by "
                f"{-fresh['difference']['value']:.4f} on {fresh['users']} users with new interactions"
            )
        return None
    if not served or served.get("split", {}).get("kind") != evaluation["split"]["kind"]:
        return None
    then, now = served["model"]["ndcg_at_10"]["value"], evaluation["model"]["ndcg_at_10"]
    if now["high"] < (1 - SERVED_MARGIN) * then:
        return (
            f"NDCG@10 {now['value']:.4f} (at most {now['high']:.4f}) is worse than the {then:.4f} that the "
            "served model reached when it was judged"
        )
    return None
