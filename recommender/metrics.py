"""How good lists are: ranking metrics against held-out items, and what lists show of the catalogue.

All take lists of ids, best first, and per list the set of relevant (held-out) ids. Gains are binary. A list
without relevant ids has no value and is refused: leave such users out before.

Source: Järvelin and Kekäläinen (2002) for DCG; Voorhees (1999) for the reciprocal rank; Herlocker et al.
(2004) for coverage; novelty as mean self-information, Zhou et al. (2010); the Gini coefficient of exposure,
Fleder and Hosanagar (2009); percentile bootstrap over users, Efron and Tibshirani (1993), chapter 13.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean with a bootstrap interval; ``level`` is the share of resampled means within it."""

    mean: float
    low: float
    high: float
    level: float = 0.95


def ndcg_at_k(ranked: Sequence[int], relevant: Collection[int], k: int) -> float:
    """Return the discounted gain of the first ``k`` over the greatest possible one, 0 to 1.

    The item at place p (from 1) gains 1 / log2(p + 1); the best order has ``min(k, len(relevant))`` hits.

    Raises
    ------
    ValueError
        ``relevant`` is empty or ``k`` is below 1.
    """
    hits = _hits(ranked, relevant, k)
    discounts = _discounts(k)
    return float(discounts[: len(hits)] @ hits / discounts[: min(k, len(relevant))].sum())


def recall_at_k(ranked: Sequence[int], relevant: Collection[int], k: int) -> float:
    """Return which share of the relevant items stands among the first ``k``, 0 to 1.

    Raises
    ------
    ValueError
        ``relevant`` is empty or ``k`` is below 1.
    """
    return float(_hits(ranked, relevant, k).sum() / len(relevant))


def average_precision_at_k(ranked: Sequence[int], relevant: Collection[int], k: int) -> float:
    """Return the mean precision at the places of the hits among the first ``k``, 0 to 1.

    Divided by ``min(k, len(relevant))``. Its mean over users is MAP@k.

    Raises
    ------
    ValueError
        ``relevant`` is empty or ``k`` is below 1.
    """
    hits = _hits(ranked, relevant, k)
    precisions = np.cumsum(hits) / np.arange(1, len(hits) + 1)
    return float(precisions @ hits / min(k, len(relevant)))


def reciprocal_rank(ranked: Sequence[int], relevant: Collection[int]) -> float:
    """Return 1 / p with p the place (from 1) of the first hit in the list, 0 without a hit.

    Its mean over users is MRR, cut at the length of the lists.

    Raises
    ------
    ValueError
        ``relevant`` is empty.
    """
    places = np.flatnonzero(_hits(ranked, relevant, max(1, len(ranked))))
    return 1.0 / (int(places[0]) + 1) if len(places) else 0.0


def gini(shown: Sequence[float] | NDArray[Any]) -> float:
    """Return how unequally places in lists fall on artists (or items): 0 alike, near 1 all on one.

    With x ascending, n of them: ``sum((2 i - n - 1) x_i) / (n sum(x))``, i from 1; 0 if nothing was shown.

    Parameters
    ----------
    shown : how often each possible artist was shown, 0 included, not negative

    Raises
    ------
    ValueError
        There is nobody to be shown, or a count is negative.
    """
    counts = np.sort(np.asarray(shown, np.float64))
    if counts.size == 0 or counts[0] < 0:
        raise ValueError("a Gini coefficient needs at least one count, and none below 0")
    total = counts.sum()
    if total == 0:
        return 0.0
    ranks = 2 * np.arange(1, counts.size + 1) - counts.size - 1
    return float(ranks @ counts / (counts.size * total))


def coverage(lists: Sequence[Sequence[int]], items: int) -> float:
    """Return which share of ``items`` possible items stands in at least one list, 0 to 1.

    Raises
    ------
    ValueError
        There are no items.
    """
    if items < 1:
        raise ValueError("a coverage needs at least one item")
    return len({item for ranked in lists for item in ranked}) / items


def novelty(lists: Sequence[Sequence[int]], listeners: Mapping[int, int], users: int) -> float:
    """Return the mean surprise of the recommended items, in bits; 0 if nothing was recommended.

    An item that ``n`` of ``users`` listened to in training has ``-log2(n / users)`` bits; one that nobody
    listened to counts as if one had.

    Raises
    ------
    ValueError
        There are no users.
    """
    if users < 1:
        raise ValueError("novelty needs at least one user")
    counts = np.array([max(listeners.get(item, 0), 1) for ranked in lists for item in ranked], float)
    return float(np.mean(-np.log2(counts / users))) + 0.0 if len(counts) else 0.0


def bootstrap(
    values: Sequence[float] | NDArray[np.float64],
    *,
    seed: int,
    resamples: int = 1000,
    level: float = 0.95,
) -> Interval:
    """Return the mean over users with its percentile bootstrap interval; see ``bootstrap_columns``."""
    column = np.asarray(values, np.float64).reshape(-1, 1)
    return bootstrap_columns(column, seed=seed, resamples=resamples, level=level)[0]


def bootstrap_columns(
    values: NDArray[np.float64], *, seed: int, resamples: int = 1000, level: float = 0.95
) -> list[Interval]:
    """Return each column's mean over users with its percentile bootstrap interval.

    All columns see the same draws, so a column of differences of two others gets their paired interval.

    Parameters
    ----------
    values : float64 [users, columns], at least one user
    seed : equal seeds give equal intervals
    resamples : drawn samples of users, with replacement
    level : share of resampled means within the interval, between 0 and 1

    Raises
    ------
    ValueError
        There are no users.
    """
    users = len(values)
    if users == 0:
        raise ValueError("an interval needs at least one value")
    random = np.random.default_rng(seed)
    # around the mean: what does not vary has an interval without width
    centre = values.mean(axis=0)
    spread = values - centre
    means = np.empty((resamples, values.shape[1]))
    # row by row: a matrix of resamples x users would be large for many users
    for at in range(resamples):
        drawn = np.bincount(random.integers(0, users, users), minlength=users)
        means[at] = centre + drawn @ spread / users
    tail = (1.0 - level) / 2.0
    low, high = np.quantile(means, [tail, 1.0 - tail], axis=0)
    found = zip(centre.tolist(), low.tolist(), high.tolist(), strict=True)
    return [Interval(mean, least, most, level) for mean, least, most in found]


def bootstrap_ratio(
    values: Sequence[float] | NDArray[np.float64],
    baseline: Sequence[float] | NDArray[np.float64],
    *,
    seed: int,
    resamples: int = 1000,
    level: float = 0.95,
) -> Interval:
    """Return the ratio of two means over the same users, with its interval (users are drawn in pairs).

    A resample in which the baseline's mean is 0 counts as infinite; if the baseline is 0 for all, the
    ratio is infinite, or NaN where both are.

    Raises
    ------
    ValueError
        There are no values, or not as many in the baseline.
    """
    ours, theirs = np.asarray(values, np.float64), np.asarray(baseline, np.float64)
    if ours.size == 0 or ours.shape != theirs.shape:
        raise ValueError(f"{ours.size} values do not pair with {theirs.size}")
    random = np.random.default_rng(seed)
    ratios = np.empty(resamples)
    with np.errstate(divide="ignore", invalid="ignore"):
        for at in range(resamples):
            drawn = random.integers(0, ours.size, ours.size)
            ratios[at] = ours[drawn].mean() / theirs[drawn].mean()
        ratio = float(ours.mean() / theirs.mean())
    tail = (1.0 - level) / 2.0
    low, high = np.quantile(ratios, [tail, 1.0 - tail], method="nearest")
    return Interval(ratio, float(low), float(high), level)


def _hits(ranked: Sequence[int], relevant: Collection[int], k: int) -> NDArray[np.float64]:
    if k < 1:
        raise ValueError(f"k is {k}, must be at least 1")
    if not relevant:
        raise ValueError("no relevant items: leave this user out")
    return np.array([item in relevant for item in ranked[:k]], np.float64)


def _discounts(k: int) -> NDArray[np.float64]:
    return 1.0 / np.log2(np.arange(2, k + 2))
