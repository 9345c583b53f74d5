"""A global time split: what is judged happened after one moment, for everybody.

The usual split hides each user's own latest interactions, so a model may learn from others what was in
fashion later. Here nothing of a later time is learned from, as in service.
"""

from collections.abc import Iterator
from functools import partial

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.storagelevel import StorageLevel

from schemas.errors import InvalidModel
from training.configuration import Split, TrainingConfig
from training.interactions import PREPARED_COLUMNS, flat
from training.preparation import KEPT

_ACCURACY = 1_000_000  # exact as long as there are fewer different seconds


def split_users(prepared: DataFrame, config: TrainingConfig) -> tuple[DataFrame, int | None]:
    """Return users with what the judgement hides; the moment of a global time split, else None.

    Raises
    ------
    InvalidModel
        A global split is asked for, and too little has a time.
    """
    if config.split is not Split.GLOBAL:
        return prepared, None
    return split_at_one_moment(prepared, config.held_out_share)


def split_at_one_moment(prepared: DataFrame, share: float) -> tuple[DataFrame, int]:
    """Hold out the positive interactions after the moment that leaves ``share`` of them behind it.

    A negative one after it gets strength 0, which says nothing. An interaction without a time counts as old.

    Returns
    -------
    prepared users with other ``strengths`` and ``held_out``; the moment, seconds since 1970

    Raises
    ------
    InvalidModel
        Fewer than half of the positive interactions have a time.
    """
    pairs = F.explode(F.arrays_zip("strengths", "last_s")).alias("one")
    positive = prepared.where(F.col("outcome") == KEPT).select(pairs).where("one.strengths > 0")
    time_s = F.when(F.col("one.last_s") > 0, F.col("one.last_s"))
    found = positive.agg(
        F.count("*").alias("positive"),
        F.count(time_s).alias("timed"),
        F.percentile_approx(time_s, 1.0 - share, _ACCURACY).alias("moment_s"),
    ).first()
    assert found is not None, "an aggregate has one row"
    if not found["timed"] or 2 * found["timed"] < found["positive"]:
        raise InvalidModel(
            f"{found['timed']} of {found['positive']} positive interactions have a time: a global time split "
            "needs half of them; use --split latest"
        )
    moment_s = int(found["moment_s"])
    split = prepared.mapInArrow(partial(split_batches_at, moment_s=moment_s), PREPARED_COLUMNS)
    return split.persist(StorageLevel.MEMORY_AND_DISK), moment_s


def split_batches_at(batches: Iterator[pa.RecordBatch], moment_s: int) -> Iterator[pa.RecordBatch]:
    """Split batches of ``PREPARED`` rows at a moment."""
    for batch in batches:
        offsets = batch["strengths"].offsets
        values, later = flat(batch["strengths"]), flat(batch["last_s"]) > moment_s
        told = np.where(later & (values < 0), np.float32(0), values)
        columns = {name: batch[name] for name in batch.schema.names} | {
            "strengths": pa.ListArray.from_arrays(offsets, pa.array(told)),
            "held_out": pa.ListArray.from_arrays(offsets, pa.array(later & (values > 0))),
            "timed": pa.array(np.ones(batch.num_rows, bool)),
        }
        yield pa.RecordBatch.from_arrays(list(columns.values()), names=list(columns))
