"""Snapshot parts -> prepared users -> dense ids -> ratings, in Spark."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pyspark import Broadcast
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.storagelevel import StorageLevel

from schemas.errors import InvalidSnapshot
from training.configuration import TrainingConfig
from training.parts import part_batches
from training.preparation import KEPT, prepare_batches

PREPARED_COLUMNS = (
    "user_id string, outcome string, clipped int, timed boolean, ticket long, "
    "track_ids array<long>, strengths array<float>, held_out array<boolean>, last_s array<long>, "
    "first_s array<long>"
)
_TRACKS = "track_id long, listeners long, training_listeners long, interactions long"
_RATINGS = "user int, item int, rating float"


@dataclass(frozen=True)
class Ids:
    """Dense ids: position in these sorted arrays. ALS knows int32 only, the log knows 64 bits.

    Attributes
    ----------
    user_ids : bytes [users], ascending
    track_ids : int64 [items], ascending; tracks that somebody has a positive interaction with
    listeners : int64 [items], users with a positive interaction
    training_listeners : int64 [items], the same without what is held out
    dead_tracks : tracks that nobody has a positive interaction with; they are left out
    dead_interactions : interactions with them
    """

    user_ids: NDArray[np.bytes_]
    track_ids: NDArray[np.int64]
    listeners: NDArray[np.int64]
    training_listeners: NDArray[np.int64]
    dead_tracks: int = 0
    dead_interactions: int = 0

    def with_tracks(self, track_ids: NDArray[np.int64]) -> "Ids":
        """Return these and other tracks that nobody has, renumbered: a catalogue to rank."""
        everything = np.union1d(self.track_ids, track_ids)
        at = np.searchsorted(everything, self.track_ids)
        listeners, training = np.zeros((2, len(everything)), np.int64)
        listeners[at], training[at] = self.listeners, self.training_listeners
        return replace(self, track_ids=everything, listeners=listeners, training_listeners=training)


def prepared_users(spark: SparkSession, part_uris: Sequence[str], config: TrainingConfig) -> DataFrame:
    """Read the parts and prepare each user; kept in memory or on disk, computed once.

    Parameters
    ----------
    part_uris : addresses that pyarrow's file systems open; each Spark task reads its share of them

    Raises
    ------
    InvalidSnapshot
        There is no part. What is wrong with a part ends the Spark job that reads it.
    """
    if not part_uris:
        raise InvalidSnapshot("a snapshot without parts cannot be trained on")
    shares = spark.sparkContext.parallelize([(uri,) for uri in part_uris], config.blocks)
    uris = spark.createDataFrame(shares, "uri string")
    prepared = uris.mapInArrow(partial(_prepared_parts, config=config), PREPARED_COLUMNS)
    return prepared.persist(StorageLevel.MEMORY_AND_DISK)


def outcome_counts(prepared: DataFrame) -> dict[str, dict[str, int]]:
    """Return users, interactions and clipped strengths per outcome of the outlier rules."""
    rows = prepared.groupBy("outcome").agg(
        F.count("*").alias("users"),
        F.sum(F.size("track_ids")).alias("interactions"),
        F.sum("clipped").alias("clipped"),
    )
    names = ("users", "interactions", "clipped")
    return {row["outcome"]: {name: int(row[name]) for name in names} for row in rows.collect()}


def dense_ids(prepared: DataFrame) -> Ids:
    """Number users and tracks by their order, so that equal inputs get equal numbers."""
    kept = prepared.where(F.col("outcome") == KEPT)
    users = kept.select("user_id").toArrow()["user_id"].to_numpy(zero_copy_only=False)
    tracks = (
        kept.mapInArrow(_listeners, _TRACKS)
        .groupBy("track_id")
        .agg(
            F.sum("listeners").alias("listeners"),
            F.sum("training_listeners").alias("training"),
            F.sum("interactions").alias("interactions"),
        )
        .toArrow()
        .sort_by("track_id")
    )
    alive = pc.greater(tracks["listeners"], 0)
    dead = tracks.filter(pc.invert(alive))
    tracks = tracks.filter(alive)
    return Ids(
        user_ids=np.sort(users.astype("S")),
        track_ids=tracks["track_id"].to_numpy(),
        listeners=tracks["listeners"].to_numpy(),
        training_listeners=tracks["training"].to_numpy(),
        dead_tracks=dead.num_rows,
        dead_interactions=pc.sum(dead["interactions"]).as_py() or 0,
    )


def ratings(spark: SparkSession, prepared: DataFrame, ids: Ids, *, training_only: bool) -> DataFrame:
    """Return (user int, item int, rating float) for ALS, in an order that the inputs alone decide.

    Tracks without a positive interaction are left out: nothing pulls their factors away from zero, and with
    few users their equations come close to singular.
    """
    listeners = ids.training_listeners if training_only else ids.listeners
    index = spark.sparkContext.broadcast((ids.user_ids, ids.track_ids, listeners > 0))
    numbered = prepared.where(F.col("outcome") == KEPT).mapInArrow(
        partial(_rating_batches, index=index, training_only=training_only), _RATINGS
    )
    return numbered.sortWithinPartitions("user", "item")


def held_out_ratings(spark: SparkSession, prepared: DataFrame, ids: Ids) -> DataFrame:
    """Return the held-out (user, item, rating)."""
    index = spark.sparkContext.broadcast((ids.user_ids, ids.track_ids, ids.listeners > 0))
    kept = prepared.where(F.col("outcome") == KEPT)
    return kept.mapInArrow(partial(_rating_batches, index=index, training_only=None), _RATINGS)


def judged_users(prepared: DataFrame, limit: int) -> pa.Table:
    """Return the users with something held out and something liked beside it, ordered.

    At most ``limit`` of them, by their seeded tickets.
    """
    pairs = F.arrays_zip("strengths", "held_out")
    known = F.exists(pairs, lambda one: (one["strengths"] > 0) & ~one["held_out"])
    judged = prepared.where((F.col("outcome") == KEPT) & F.array_contains("held_out", True) & known)
    chosen = judged.orderBy("ticket", "user_id").limit(limit)
    columns = ("user_id", "timed", "track_ids", "strengths", "held_out", "first_s")
    return chosen.select(*columns).toArrow().sort_by("user_id")


def _prepared_parts(batches: Iterator[pa.RecordBatch], config: TrainingConfig) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        for uri in batch["uri"].to_pylist():
            yield from prepare_batches(part_batches(uri), config)


def _listeners(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        tracks, values, held_out = (flat(batch[name]) for name in ("track_ids", "strengths", "held_out"))
        positive = values > 0
        found, at = np.unique(tracks, return_inverse=True)
        counts = [
            np.bincount(at, weights=one, minlength=len(found)) for one in (positive, positive & ~held_out)
        ]
        counts.append(np.bincount(at, minlength=len(found)))
        yield pa.RecordBatch.from_arrays(
            [pa.array(found), *(pa.array(one.astype(np.int64)) for one in counts)],
            names=["track_id", "listeners", "training_listeners", "interactions"],
        )


def _rating_batches(
    batches: Iterator[pa.RecordBatch], index: Broadcast[Any], training_only: bool | None
) -> Iterator[pa.RecordBatch]:
    """Number and flatten; ``training_only`` None means only what is held out."""
    user_ids, track_ids, known = index.value
    for batch in batches:
        users = np.array(batch["user_id"].to_pylist(), dtype=user_ids.dtype)
        lengths = np.diff(batch["track_ids"].offsets.to_numpy())
        tracks, values, held_out = (flat(batch[name]) for name in ("track_ids", "strengths", "held_out"))
        user = np.repeat(np.searchsorted(user_ids, users), lengths)
        item = np.minimum(np.searchsorted(track_ids, tracks), len(track_ids) - 1)
        keep = (track_ids[item] == tracks) & known[item]
        if training_only is not False:
            keep &= ~held_out if training_only else held_out
        yield pa.RecordBatch.from_arrays(
            [
                pa.array(user[keep].astype(np.int32)),
                pa.array(item[keep].astype(np.int32)),
                pa.array(values[keep].astype(np.float32)),
            ],
            names=["user", "item", "rating"],
        )


def flat(lists: pa.ListArray) -> NDArray[Any]:
    """Return the values of a list column, one after the other."""
    values: NDArray[Any] = lists.flatten().to_numpy(zero_copy_only=False)
    return values
