"""Strength: how much one user's interactions say, as signed numbers for the solver.

::

    strength = 2^(-age / half-life) * ( ln(1 + listens + imported) + 0.25 ln(1 + completions)
                                        + 1.5 liked + 0.5 chosen
                                        - 0.5 ln(1 + skips) - 1 less - 2 hidden )

Age runs from the interaction to the user's last event, in event time: no clock is read. Imports without
a time do not age. The logarithm follows the common practice for counts of listens (Hu, Koren and
Volinsky 2008, eq. 6).
"""

import numpy as np
from numpy.typing import NDArray

from recommender.encoding import CHOSEN, HIDDEN, LESS, LIKED, History

HALF_LIFE_S = 180 * 86_400
_COMPLETION, _LIKED, _CHOSEN, _SKIP, _LESS, _HIDDEN = 0.25, 1.5, 0.5, 0.5, 1.0, 2.0


def strengths(history: History) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the tracks that say something and how much.

    Returns
    -------
    track_ids : int64 [n], ascending, each once
    values : float64 [n], signed, never 0, finite
    """
    rows = history.interactions
    if len(rows) == 0:
        return np.empty(0, np.int64), np.empty(0, np.float64)
    flags = rows["flags"]
    last_s = rows["last_s"].astype(np.float64)
    heard = rows["listens"].astype(np.float64) + rows["imported"]
    value = np.log1p(heard) + _COMPLETION * np.log1p(rows["completions"].astype(np.float64))
    value -= _SKIP * np.log1p(rows["skips"].astype(np.float64))
    for flag, weight in ((LIKED, _LIKED), (CHOSEN, _CHOSEN), (LESS, -_LESS), (HIDDEN, -_HIDDEN)):
        value += weight * ((flags & flag) != 0)
    age_s = np.where(last_s > 0, np.maximum(history.last_event_ms // 1000 - last_s, 0.0), 0.0)
    value *= np.exp2(-age_s / HALF_LIFE_S)
    track_ids, row_of = np.unique(rows["track_id"], return_inverse=True)
    summed = np.bincount(row_of, weights=value, minlength=len(track_ids))
    said = summed != 0.0
    return track_ids[said].astype(np.int64), summed[said]
