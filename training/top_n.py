"""The best items of every user, by score alone: what ``recommendForAllUsers`` gives, by blocked products.

Spark keeps the work: it spreads the users' factors as Arrow batches (``mapInArrow``) and holds the item
factors as a broadcast. The arithmetic is ``recommender.top_n``: exact, and the same in every partition.
"""

from collections.abc import Iterator
from functools import lru_cache, partial

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark import Broadcast
from pyspark.sql import DataFrame
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from recommender.top_n import Items

_TOP = "id int, items array<int>, scores array<double>"


def top_n_of_all(
    users: DataFrame, item_ids: NDArray[np.int32], rows: NDArray[np.float32], n: int
) -> DataFrame:
    """Return (id int, items array<int>, scores array<double>) of each user, best first, ties by item.

    Parameters
    ----------
    users : (id int, features array<float>), as ``ALSModel.userFactors``
    item_ids : int32 [items], ascending
    rows : float32 [items, rank], aligned with ``item_ids``
    n : items wanted; all of them where there are fewer
    """
    held = users.sparkSession.sparkContext.broadcast((item_ids, rows))
    return users.select("id", "features").mapInArrow(partial(_top_batches, held=held, n=n), _TOP)


@lru_cache(maxsize=1)
def _items(held: "Broadcast[tuple[NDArray[np.int32], NDArray[np.float32]]]") -> Items:
    """Return the items of a broadcast, made once in each Python worker."""
    return Items(held.value[1])


def _top_batches(
    batches: Iterator[pa.RecordBatch],
    held: "Broadcast[tuple[NDArray[np.int32], NDArray[np.float32]]]",
    n: int,
) -> Iterator[pa.RecordBatch]:
    item_ids, items = held.value[0], _items(held)
    with threadpool_limits(limits=1):  # Spark runs as many of these as there are cores
        for batch in batches:
            features = batch["features"].flatten().to_numpy(zero_copy_only=False)
            users = features.astype(np.float32, copy=False).reshape(batch.num_rows, items.rank)
            found, scores = items.top_n(users, n)
            offsets = pa.array(np.arange(0, found.size + 1, found.shape[1], dtype=np.int32))
            yield pa.RecordBatch.from_arrays(
                [
                    batch["id"],
                    pa.ListArray.from_arrays(offsets, pa.array(item_ids[found].ravel())),
                    pa.ListArray.from_arrays(offsets, pa.array(scores.ravel())),
                ],
                names=["id", "items", "scores"],
            )
