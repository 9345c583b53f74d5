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

from recommender.encoding import CHOSEN, HIDDEN, LESS, LIKED, History, PackedRows

HALF_LIFE_S = 180 * 86_400
_COMPLETION, _LIKED, _CHOSEN, _SKIP, _LESS, _HIDDEN = 0.25, 1.5, 0.5, 0.5, 1.0, 2.0


def strengths(history: History) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the tracks that say something and how much.

    Returns
    -------
    track_ids : int64 [n], ascending, each once
    values : float64 [n], signed, never 0, finite
    """
    rows = PackedRows([history])
    if not len(rows.users):
        return np.empty(0, np.int64), np.empty(0, np.float64)
    track_ids, row_of = np.unique(rows.track_id, return_inverse=True)
    weights = row_strengths(rows, np.array([history.last_event_ms]))
    summed = np.bincount(row_of, weights=weights, minlength=len(track_ids))
    said = summed != 0.0
    return track_ids[said], summed[said]


def row_strengths(rows: PackedRows, last_event_ms: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return what each row of many histories says; the rows of one track add up.

    Parameters
    ----------
    last_event_ms : int64 [histories], newest event of each

    Returns
    -------
    float64 [rows], signed, finite
    """
    value = np.log1p(rows.heard.astype(np.float64))
    value += _COMPLETION * np.log1p(rows.completions.astype(np.float64))
    value -= _SKIP * np.log1p(rows.skips.astype(np.float64))
    for flag, weight in ((LIKED, _LIKED), (CHOSEN, _CHOSEN), (LESS, -_LESS), (HIDDEN, -_HIDDEN)):
        value += weight * ((rows.flags & flag) != 0)
    age_s = np.maximum((last_event_ms // 1000)[rows.users] - rows.last_s, 0)
    value *= np.exp2(np.where(rows.last_s > 0, age_s, 0) / -float(HALF_LIFE_S))
    return value
