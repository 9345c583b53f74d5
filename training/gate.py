"""Whether a model may be served, and why not. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from recommender.metrics import Interval
from recommender.model import Model

MANY_USERS = 200
LEAST_COVERED = 0.99
SERVED_MARGIN = 0.10
FRESH_USERS = 50
ALIKE = 0.10
"""Share by which two ranked catalogues may differ: among more tracks each figure is lower."""


class Verdict(NamedTuple):
    """What one rule says of a model.

    Attributes
    ----------
    refused : it keeps the model out of service
    words : why; "passed", or why it could not judge, where it does not
    """

    refused: bool
    words: str


PASSED = Verdict(False, "passed")
Verdicts = dict[str, Verdict]
"""By rule."""


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
    return [verdict.words for verdict in verdicts.values() if verdict.refused]


def in_words(verdicts: Verdicts) -> dict[str, str]:
    """Return each verdict as it is kept with the model."""
    return {rule: verdict.words for rule, verdict in verdicts.items()}


def not_finite(rows: NDArray[np.float32]) -> Verdict:
    """Refuse factors that are not finite, or that are all zero."""
    bad = int(rows.size - np.isfinite(rows).sum())
    if bad:
        return Verdict(True, f"{bad} of {rows.size} numbers of the item factors are not finite")
    return PASSED if rows.any() else Verdict(True, "all item factors are zero")


def not_covering(folded: int, users: int, lists: NDArray[np.int64]) -> Verdict:
    """Refuse a model that cannot make a list for 99 % of the judged users, or makes one list for all.

    Parameters
    ----------
    folded : judged users that the model could fold in
    lists : int64 [users, k], ranked items
    """
    if folded < LEAST_COVERED * users:
        return Verdict(
            True, f"lists for {folded} of {users} judged users only; {LEAST_COVERED:.0%} are needed"
        )
    if users > 1 and (lists == lists[0]).all():
        return Verdict(True, "every judged user gets the same list")
    return PASSED


def not_better_than_popularity(gain: Interval, users: int) -> Verdict:
    """Refuse by NDCG@10 against popularity on the same users and tracks.

    From 200 judged users on, the mean difference decides. Below, a mean is mostly noise: refused is only
    what is worse with confidence, that is, when the whole 95 % interval of the paired difference lies
    below zero.
    """
    worse = gain.mean <= 0 if users >= MANY_USERS else gain.high < 0
    if not worse:
        return PASSED
    return Verdict(
        True,
        f"NDCG@10 is not better than popularity's: difference {gain.mean:+.4f} "
        f"({gain.low:+.4f} to {gain.high:+.4f}) over {users} users",
    )


def worse_than_served(evaluation: Mapping[str, Any], served: Mapping[str, Any] | None) -> Verdict:
    """Refuse a model that is worse than the served one beyond a margin of 10 % of its NDCG@10.

    An honest comparison needs interactions that neither model has seen: held-out ones newer than the
    served model's snapshot, of tracks that the user had nothing to do with before. With 50 users or more of
    that kind, the paired difference on them decides: its whole interval must lie below minus the margin.
    Otherwise the served model's own evaluation stands in, and the model's upper bound must reach it less the
    margin; splits of two kinds do not compare, nor do catalogues of very different size.

    Parameters
    ----------
    evaluation : this model's
    served : the evaluation that was published with the served model
    """
    fresh = evaluation.get("served")
    if fresh and fresh["users"] >= FRESH_USERS:
        margin = SERVED_MARGIN * fresh["ndcg_at_10"]
        if fresh["difference"]["high"] < -margin:
            return Verdict(
                True,
                f"NDCG@10 is worse than the served model's {fresh['ndcg_at_10']:.4f} by "
                f"{-fresh['difference']['value']:.4f} on {fresh['users']} users with new interactions",
            )
        return PASSED
    apart = _not_comparable(evaluation["split"], (served or {}).get("split"))
    if not served or apart:
        alone = f"not judged: fewer than {FRESH_USERS} users have new interactions alone"
        return Verdict(False, f"{alone}, and the served model {apart}")
    then, now = served["model"]["ndcg_at_10"]["value"], evaluation["model"]["ndcg_at_10"]
    if now["high"] < (1 - SERVED_MARGIN) * then:
        return Verdict(
            True,
            f"NDCG@10 {now['value']:.4f} (at most {now['high']:.4f}) is worse than the {then:.4f} that the "
            "served model reached when it was judged",
        )
    return PASSED


def _not_comparable(mine: Mapping[str, Any], theirs: Mapping[str, Any] | None) -> str | None:
    """Return why figures of two splits say nothing about each other, None where they do."""
    if not theirs:
        return "was not judged"
    if theirs["kind"] != mine["kind"]:
        return f"was judged on a split of another kind ({theirs['kind']}, not {mine['kind']})"
    few, many = sorted((theirs["tracks"], mine["tracks"]))
    if few < (1 - ALIKE) * many:
        return f"ranked {theirs['tracks']:,} tracks when it was judged, this one ranked {mine['tracks']:,}"
    return None
