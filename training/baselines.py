"""What a model is held against: popularity that fades with time, and the tracks most alike.

All learn from the training share alone and rank the same users over the same tracks as the model.
"""

from collections.abc import Iterator
from functools import partial

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from scipy import sparse

from training.configuration import TrainingConfig
from training.interactions import Ids, flat, ratings
from training.judgement import Judged, Scores
from training.preparation import KEPT

POPULARITY_HALF_LIFE_S = 30 * 86_400
NEIGHBOURS = 200
SHRINKAGE = 100.0
"""Both chosen on HetRec Last.fm, see docs/training.md; ``bench als-quality`` tunes them."""
_BLOCK = 512


def decayed_listeners(prepared: DataFrame, ids: Ids) -> NDArray[np.float64] | None:
    """Return each track's listeners of the training share, each counting half as much per 30 days of age.

    Age is event time: from the listener's latest interaction with the track to the newest interaction of
    all. No clock is read. Interactions without a time do not count.

    Returns
    -------
    float64 [items], at least 0; None where nothing has a time
    """
    kept = prepared.where(F.col("outcome") == KEPT)
    newest_s = kept.agg(F.max(F.array_max("last_s"))).first()
    if newest_s is None or not newest_s[0]:
        return None
    work = partial(_decayed_batches, newest_s=int(newest_s[0]))
    summed = kept.mapInArrow(work, "track_id long, weight double").groupBy("track_id").agg(F.sum("weight"))
    table = summed.toArrow()
    found = np.zeros(len(ids.track_ids))
    found[np.searchsorted(ids.track_ids, table["track_id"].to_numpy())] = table[1].to_numpy()
    # Spark adds up in any order: what differs in the last digits only is equal
    return np.round(found, 9)


def _decayed_batches(batches: Iterator[pa.RecordBatch], newest_s: int) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        columns = (flat(batch[name]) for name in ("track_ids", "strengths", "held_out", "last_s"))
        tracks, values, held_out, last_s = columns
        counted = (values > 0) & ~held_out & (last_s > 0)
        weights = np.exp2((last_s[counted] - newest_s) / POPULARITY_HALF_LIFE_S)
        found, at = np.unique(tracks[counted], return_inverse=True)
        summed = np.bincount(at, weights=weights, minlength=len(found))
        yield pa.RecordBatch.from_arrays([pa.array(found), pa.array(summed)], names=["track_id", "weight"])


def training_matrix(
    spark: SparkSession, prepared: DataFrame, ids: Ids, config: TrainingConfig
) -> sparse.csr_matrix:
    """Return positive strengths of the training share, of at most ``judged_users`` users by their tickets.

    Returns
    -------
    float32 [users, items], sparse
    """
    chosen = prepared.where(F.col("outcome") == KEPT).orderBy("ticket", "user_id").limit(config.judged_users)
    table = ratings(spark, chosen, ids, training_only=True).toArrow()
    user, item, rating = (table[name].to_numpy() for name in ("user", "item", "rating"))
    positive = rating > 0
    shape = (len(ids.user_ids), len(ids.track_ids))
    return sparse.csr_matrix((rating[positive], (user[positive], item[positive])), shape, np.float32)


def nearest_items(
    matrix: sparse.csr_matrix, neighbours: int = NEIGHBOURS, shrinkage: float = SHRINKAGE
) -> sparse.csr_matrix:
    """Return each item's most similar items by shrunk cosine.

    ``x_i'x_j / (|x_i| |x_j| + shrinkage)`` with x_i the strengths of item i over users. Source: Sarwar et
    al. (2001), section 3.1.1; shrinkage as in Ferrari Dacrema, Cremonesi and Jannach (2019), section 2.3.

    Parameters
    ----------
    matrix : float32 [users, items], not negative

    Returns
    -------
    float32 [items, items], sparse; row i holds the similarity of its ``neighbours`` nearest, never itself
    """
    columns = matrix.tocsc()
    norms = np.sqrt(np.asarray(columns.multiply(columns).sum(axis=0), np.float64)).ravel()
    by_item = columns.T.tocsr()
    rows = []
    for start in range(0, by_item.shape[0], _BLOCK):
        block = (by_item[start : start + _BLOCK] @ matrix).tocoo()
        row, column = block.row + start, block.col
        similar = block.data / (norms[row] * norms[column] + shrinkage)
        others = row != column
        rows.append(_strongest(row[others] - start, column[others], similar[others], block.shape, neighbours))
    return sparse.vstack(rows, format="csr", dtype=np.float32)


def _strongest(
    row: NDArray[np.int64],
    column: NDArray[np.int64],
    value: NDArray[np.float64],
    shape: tuple[int, int],
    most: int,
) -> sparse.csr_matrix:
    """Keep the greatest values of each row, ties by column."""
    order = np.lexsort((column, -value, row))
    row, column, value = row[order], column[order], value[order]
    first = np.searchsorted(row, np.arange(shape[0]))
    kept = np.arange(len(row)) - first[row] < most
    return sparse.csr_matrix((value[kept], (row[kept], column[kept])), shape, np.float32)


def neighbour_scores(similar: sparse.csr_matrix, judged: Judged) -> Scores:
    """Score an item by its nearest items among the user's: the sum of strength times similarity.

    An item without such a neighbour cannot be ranked.
    """
    shown = (judged.items >= 0) & ~judged.held_out & (judged.values > 0)
    user = np.repeat(np.arange(judged.users), np.diff(judged.offsets))[shown]
    shape = (judged.users, len(judged.track_ids))
    heard = sparse.csr_matrix((judged.values[shown], (user, judged.items[shown])), shape, np.float32)
    reach = similar.T.tocsr()

    def scores(start: int, end: int) -> NDArray[np.float32]:
        found = (heard[start:end] @ reach).toarray()
        found[found <= 0] = -np.inf
        return np.asarray(found, np.float32)

    return scores


def decayed_scores(weights: NDArray[np.float64]) -> Scores:
    """Score every user alike by listeners that fade with time."""

    def scores(start: int, end: int) -> NDArray[np.float32]:
        return np.broadcast_to(weights.astype(np.float32), (end - start, len(weights))).copy()

    return scores
