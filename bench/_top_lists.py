"""The best items of each user by factors alone, without what the user played."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from bench._als_side import Factors

_AT_ONCE = 256


def by_user(plays: pa.Table, users: int, items: int) -> Any:
    """Return ratings as a sparse matrix [users, items]; users and items beyond are left out."""
    user, item = plays["user"].to_numpy(), plays["item"].to_numpy()
    known = (user < users) & (item < items)
    return csr_matrix((plays["rating"].to_numpy()[known], (user[known], item[known])), shape=(users, items))


def top_lists(factors: Factors, plays: pa.Table, length: int) -> Iterator[NDArray[np.int64]]:
    """Yield each user's list, best first, of the items that do not stand in ``plays`` with this user."""
    users, items = factors
    seen, columns = by_user(plays, len(users), len(items)), np.ascontiguousarray(items.T)
    for start in range(0, len(users), _AT_ONCE):
        scores = users[start : start + _AT_ONCE] @ columns
        scores[seen[start : start + len(scores)].nonzero()] = -np.inf
        best = np.argpartition(-scores, length, axis=1)[:, :length]
        order = np.argsort(-np.take_along_axis(scores, best, axis=1), axis=1, kind="stable")
        yield from np.take_along_axis(best, order, axis=1)
