"""A split inside the training part: what parameters are tuned on. The judged hold-out is never looked at.

Each user's held-out interactions are taken away as if they had not happened yet, and the rest is split by
the same rule again: the latest where times are real, else a draw with a seed of its own.
"""

from collections.abc import Iterator
from functools import partial

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from training.configuration import TrainingConfig
from training.interactions import PREPARED_COLUMNS, flat
from training.preparation import KEPT, PREPARED, hold_out, seeded


def validation_split(prepared: DataFrame, config: TrainingConfig) -> DataFrame:
    """Return the kept users without what the judgement hides, split anew; columns as in ``PREPARED``.

    A user of whom nothing positive is left is left out.
    """
    kept = prepared.where(F.col("outcome") == KEPT)
    return kept.mapInArrow(partial(split_batches, config=config), PREPARED_COLUMNS)


def split_batches(batches: Iterator[pa.RecordBatch], config: TrainingConfig) -> Iterator[pa.RecordBatch]:
    """Split batches of ``PREPARED`` rows."""
    for batch in batches:
        names = ("track_ids", "strengths", "held_out", "last_s", "first_s")
        tracks, values, hidden, last_s, first_s = (flat(batch[name]) for name in names)
        lengths = np.diff(batch["track_ids"].offsets.to_numpy())
        row = np.repeat(np.arange(len(lengths)), lengths)
        positive = np.bincount(row[~hidden & (values > 0)], minlength=len(lengths)) > 0
        shown = ~hidden & positive[row]
        counts = np.bincount(row[shown], minlength=len(lengths))[positive]
        chosen = batch.filter(pa.array(positive))
        users = chosen["user_id"].to_pylist()
        yield _split(
            chosen, users, counts, (tracks[shown], values[shown], last_s[shown], first_s[shown]), config
        )


def _split(
    batch: pa.RecordBatch,
    users: list[str],
    counts: NDArray[np.int64],
    columns: tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.int64], NDArray[np.int64]],
    config: TrainingConfig,
) -> pa.RecordBatch:
    tracks, values, last_s, first_s = columns
    offsets = np.concatenate(([0], np.cumsum(counts))).astype(np.int32)
    held_out, timed = np.zeros(len(tracks), bool), []
    for user, start, end in zip(users, offsets[:-1], offsets[1:], strict=True):
        random = seeded(config.seed, "validation", user)
        held_out[start:end], by_time = hold_out(
            values[start:end], last_s[start:end], random, config.held_out_share
        )
        timed.append(by_time)

    def listed(flat_values: NDArray[np.generic], kind: pa.DataType) -> pa.ListArray:
        return pa.ListArray.from_arrays(pa.array(offsets), pa.array(flat_values, kind))

    return pa.RecordBatch.from_arrays(
        [
            batch["user_id"],
            batch["outcome"],
            batch["clipped"],
            pa.array(timed, pa.bool_()),
            batch["ticket"],
            listed(tracks, pa.int64()),
            listed(values, pa.float32()),
            listed(held_out, pa.bool_()),
            listed(last_s, pa.int64()),
            listed(first_s, pa.int64()),
        ],
        schema=PREPARED,
    )
