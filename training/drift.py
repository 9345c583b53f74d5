"""How far taste has gone from what the served model was trained on, by a bounded sample of users."""

from collections.abc import Sequence

import numpy as np

from recommender.encoding import History
from recommender.foldin import fold_in
from recommender.model import Model
from recommender.strength import strengths
from training.preparation import first_seen_s, last_seen_s
from training.schedule import Drift

SAMPLE = 500
MOVED = 0.5


def drift(model: Model, histories: Sequence[History], since_s: float) -> Drift:
    """Return how many users' folded-in factors have moved since the model's snapshot.

    A user's factors now are folded in from the whole history, those of then from the tracks that were met
    before ``since_s`` or may have been: a history keeps the latest time of a track, so only one of which it
    tells a single event, a later one, was surely not known. Against fixed item factors, that is the row which
    the training had for the user, as far as the history still tells. The user has moved when the difference
    is longer than half of the factors of then, or when there were none. Who cannot be folded in now says
    nothing and is not counted.

    Parameters
    ----------
    since_s : when the snapshot of the model was made, seconds since 1970
    """
    now, then = [], []
    for history in histories:
        track_ids, values = strengths(history)
        last_s = last_seen_s(history.interactions, track_ids)
        old = first_seen_s(history.interactions, track_ids, last_s) <= since_s
        now.append((track_ids, values))
        then.append((track_ids[old], values[old]))
    here, there = fold_in(model, now), fold_in(model, then)
    counted = ~np.isnan(here).any(axis=1)
    new = np.isnan(there).any(axis=1)
    length = np.linalg.norm(there, axis=1)
    with np.errstate(invalid="ignore"):
        far = np.linalg.norm(here - there, axis=1) > MOVED * length
    return Drift(int(counted.sum()), int((counted & (new | far)).sum()))
