"""A model against popularity and the served model, in figures with intervals."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recommender import metrics
from recommender.metrics import Interval, bootstrap
from recommender.model import Model
from training.interactions import Ids
from training.judgement import LENGTH, Judged, model_scores, popularity_scores, ranked

_CUT = 10
METRICS = ("ndcg_at_10", "recall_at_20", "map_at_10", "mrr")
Metrics = dict[str, NDArray[np.float64]]


def user_metrics(lists: NDArray[np.int64], relevant: Sequence[set[int]]) -> Metrics:
    """Return NDCG@10, Recall@20, average precision at 10 and reciprocal rank (within 20) of each user.

    Parameters
    ----------
    lists : int64 [users, 20], best first, -1 where a list is shorter
    relevant : held-out items of each user, at least one
    """
    measured = []
    for row, wanted in zip(lists, relevant, strict=True):
        ranked_items = row[row >= 0].tolist()
        measured.append(
            (
                metrics.ndcg_at_k(ranked_items, wanted, _CUT),
                metrics.recall_at_k(ranked_items, wanted, LENGTH),
                metrics.average_precision_at_k(ranked_items, wanted, _CUT),
                metrics.reciprocal_rank(ranked_items, wanted),
            )
        )
    columns = np.array(measured).T
    return dict(zip(METRICS, columns, strict=True))


@dataclass(frozen=True)
class Contest:
    """One model and popularity, ranked for the same users.

    Attributes
    ----------
    lists : int64 [users, 20], the model's
    folded : users that the model could fold in
    gain : NDCG@10 of the model less that of popularity, paired by user
    """

    judged: Judged
    ids: Ids
    seed: int
    lists: NDArray[np.int64]
    folded: int
    model: Metrics
    popular_lists: NDArray[np.int64]
    popular: Metrics
    gain: Interval

    @classmethod
    def between(cls, model: Model, judged: Judged, ids: Ids, seed: int) -> "Contest":
        """Rank the judged users by the model and by popularity."""
        relevant = judged.relevant
        lists = ranked(model_scores(model, judged), judged)
        popular_lists = ranked(popularity_scores(ids.training_listeners), judged)
        mine = user_metrics(lists, relevant)
        popular = user_metrics(popular_lists, relevant)
        return cls(
            judged,
            ids,
            seed,
            lists,
            int((lists >= 0).any(axis=1).sum()),
            mine,
            popular_lists,
            popular,
            bootstrap(mine["ndcg_at_10"] - popular["ndcg_at_10"], seed=seed),
        )

    def as_dict(self) -> dict[str, Any]:
        """Return the evaluation as it is printed, kept and compared."""
        return {
            "split": {
                "kind": self.judged.split,
                "users": self.judged.users,
                "tracks": len(self.judged.track_ids),
                "held_out": int(self.judged.held_out.sum()),
            },
            "model": self._figures(self.model, self.lists),
            "popularity": self._figures(self.popular, self.popular_lists),
            "ndcg_gain": interval_as_dict(self.gain),
        }

    def against(self, lists: NDArray[np.int64], snapshot_s: float) -> dict[str, Any] | None:
        """Compare with the served model on users whose held-out interactions all began after its snapshot.

        Parameters
        ----------
        lists : int64 [users, 20], the served model's

        Returns
        -------
        ``users``, the served model's ``ndcg_at_10`` and the paired ``difference``; None without such users.
        """
        fresh = self.judged.held_out_since(snapshot_s)
        if not fresh.any():
            return None
        theirs = user_metrics(lists, self.judged.relevant)["ndcg_at_10"][fresh]
        difference = bootstrap(self.model["ndcg_at_10"][fresh] - theirs, seed=self.seed)
        return {
            "users": int(fresh.sum()),
            "ndcg_at_10": float(theirs.mean()),
            "difference": interval_as_dict(difference),
        }

    def _figures(self, values: Metrics, lists: NDArray[np.int64]) -> dict[str, Any]:
        shown = [row[row >= 0].tolist() for row in lists]
        listeners = dict(enumerate(self.ids.training_listeners.tolist()))
        figures: dict[str, Any] = {
            name: interval_as_dict(bootstrap(value, seed=self.seed)) for name, value in values.items()
        }
        figures["coverage"] = metrics.coverage(shown, len(self.judged.track_ids))
        figures["novelty_bits"] = metrics.novelty(shown, listeners, len(self.ids.user_ids))
        return figures


def interval_as_dict(interval: Interval) -> dict[str, float]:
    """Return an interval as it is kept."""
    return {"value": interval.mean, "low": interval.low, "high": interval.high}
