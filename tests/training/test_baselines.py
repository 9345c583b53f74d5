"""Baselines against the same worked by hand or by brute force."""

import numpy as np
import pytest
from pyspark.sql import SparkSession
from scipy import sparse

from connections.snapshot_store import SnapshotStore
from recommender.encoding import EMPTY
from recommender.history import apply
from schemas.settings import Settings
from tests.training.conftest import WriteSnapshot
from tests.training.listeners import imported, play, user
from training.baselines import (
    POPULARITY_HALF_LIFE_S,
    decayed_listeners,
    nearest_items,
    neighbour_scores,
    training_matrix,
)
from training.configuration import TrainingConfig
from training.inputs import part_uris
from training.interactions import dense_ids, prepared_users
from training.judgement import Judged, ranked

CONFIG = TrainingConfig(rank=4, reg_param=0.3, alpha=1.0, max_iter=2, seed=7, blocks=1)
NOW_MS = 1_700_000_000_000


def judged(values: np.ndarray, held_out: np.ndarray) -> Judged:
    """Return a judgement of the users of a dense matrix."""
    at = [np.flatnonzero((row != 0) | hidden) for row, hidden in zip(values, held_out, strict=True)]
    items = np.concatenate(at)
    users = np.repeat(np.arange(len(at)), [len(one) for one in at])
    return Judged(
        track_ids=np.arange(values.shape[1]),
        offsets=np.concatenate(([0], np.cumsum([len(one) for one in at]))),
        items=items,
        tracks=items,
        values=values[users, items],
        held_out=held_out[users, items],
        first_s=np.zeros(len(items), np.int64),
        timed=np.zeros(len(at), bool),
    )


def test_nearest_items_are_those_of_the_full_matrix_of_shrunk_cosines() -> None:
    random = np.random.default_rng(2)
    dense = random.random((40, 30)) * (random.random((40, 30)) < 0.3)
    found = nearest_items(sparse.csr_matrix(dense, dtype=np.float32), neighbours=5, shrinkage=2.0).toarray()
    norms = np.linalg.norm(dense, axis=0)
    expected = dense.T @ dense / (norms[:, None] * norms[None, :] + 2.0)
    np.fill_diagonal(expected, 0.0)
    least = np.sort(expected, axis=1)[:, -5][:, None]
    np.testing.assert_allclose(found, np.where(expected >= least, expected, 0.0), atol=1e-6)


def test_a_user_is_scored_by_strength_times_similarity_and_strangers_have_no_rank() -> None:
    # items 0, 1 and 2 are heard together, 3 and 4 together
    matrix = np.array([[1, 1, 1, 0, 0], [1, 1, 0, 0, 0], [0, 0, 0, 1, 1]], float)
    similar = nearest_items(sparse.csr_matrix(matrix, dtype=np.float32), neighbours=4, shrinkage=0.0)
    asked = np.array([[2.0, 0, 0, 0, 0], [0, 0, 0, -1.0, 0.5]])
    one = judged(asked, np.array([[0, 1, 0, 0, 0], [0, 0, 0, 0, 0]], bool))
    scores = neighbour_scores(similar, one)(0, 2)
    np.testing.assert_allclose(scores[0, 1:3], [2.0, 2.0 / np.sqrt(2)], rtol=1e-6)
    assert np.isneginf(scores[0, [0, 3, 4]]).all()
    assert np.isneginf(scores[1, :3]).all()  # a dislike draws nothing near
    assert ranked(neighbour_scores(similar, one), one)[0].tolist()[:3] == [1, 2, -1]


@pytest.fixture
def world(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings(data_dir=tmp_path_factory.mktemp("world"))


def test_popularity_fades_by_half_in_thirty_days_of_event_time_and_knows_the_training_share_alone(
    spark: SparkSession, world: Settings, write_snapshot: WriteSnapshot
) -> None:
    age_ms = POPULARITY_HALF_LIFE_S * 1_000
    histories = {}
    for number in range(3):
        history = EMPTY
        for turn, track in enumerate((1, 2, 3)):  # the latest, track 3, is held out
            history = apply(history, play(track, NOW_MS - (2 - turn) * age_ms))
        histories[user(number)] = history
    manifest = write_snapshot(world, "g", histories)
    prepared = prepared_users(spark, part_uris(SnapshotStore(world.snapshot_location), manifest), CONFIG)
    ids = dense_ids(prepared)
    weights = decayed_listeners(prepared, ids)
    assert weights is not None
    np.testing.assert_allclose(weights, [3 / 4, 3 / 2, 0.0], rtol=1e-5)
    matrix = training_matrix(spark, prepared, ids, CONFIG)
    assert (matrix.toarray() > 0).tolist() == [[True, True, False]] * 3
    prepared.unpersist()


def test_without_times_nothing_fades(
    spark: SparkSession, world: Settings, write_snapshot: WriteSnapshot
) -> None:
    histories = {user(n): apply(apply(EMPTY, imported(1, 2)), imported(2, 3)) for n in range(3)}
    manifest = write_snapshot(world, "g", histories)
    prepared = prepared_users(spark, part_uris(SnapshotStore(world.snapshot_location), manifest), CONFIG)
    assert decayed_listeners(prepared, dense_ids(prepared)) is None
    prepared.unpersist()
