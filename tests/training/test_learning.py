"""Real Spark on small snapshots."""

from dataclasses import replace

import numpy as np
import pytest
from pyspark.sql import SparkSession

from connections.snapshot_store import SnapshotStore
from recommender.encoding import EMPTY, History
from recommender.foldin import fold_in
from recommender.history import apply
from recommender.model import Model, model_digest
from recommender.strength import strengths
from schemas.errors import InvalidModel, InvalidSnapshot
from schemas.settings import Settings
from tests.training.conftest import WriteSnapshot
from tests.training.listeners import STYLES, Histories, imported, play, tasteful, user
from training.configuration import Split, TrainingConfig
from training.fit import fit, held_out_rmse
from training.global_split import split_at_one_moment
from training.inputs import part_uris
from training.interactions import prepared_users
from training.learning import Learned, learn
from training.placement import NO_FEATURES, Features

CONFIG = TrainingConfig(rank=8, reg_param=0.3, alpha=1.0, max_iter=6, seed=7, blocks=1)


class Learner:
    """Writes histories as a snapshot and learns from it."""

    def __init__(self, spark: SparkSession, settings: Settings, write: WriteSnapshot) -> None:
        self.spark, self.settings, self.write = spark, settings, write
        self.count = 0
        self.uris: list[str] = []

    def __call__(
        self, histories: Histories, config: TrainingConfig = CONFIG, features: Features = NO_FEATURES
    ) -> Learned:
        self.count += 1
        manifest = self.write(self.settings, "g", histories, f"s-{self.count}")
        self.uris = part_uris(SnapshotStore(self.settings.snapshot_location), manifest)
        return learn(self.spark, self.uris, config, features, None, lambda _: None)


@pytest.fixture
def learner(
    spark: SparkSession, tmp_path_factory: pytest.TempPathFactory, write_snapshot: WriteSnapshot
) -> Learner:
    return Learner(spark, Settings(data_dir=tmp_path_factory.mktemp("world")), write_snapshot)


def test_taste_is_learned_and_tracks_without_plays_are_placed_by_their_sound(learner: Learner) -> None:
    styles = np.eye(STYLES)[(np.arange(1, 61) - 1) % STYLES]
    sound = styles + np.random.default_rng(0).normal(scale=0.05, size=styles.shape)
    features = Features(np.arange(1, 61), sound)
    learned = learner(tasteful(), features=features)
    assert learned.reasons == []
    assert learned.evaluation["split"]["kind"] == "time"
    assert learned.evaluation["ndcg_gain"]["low"] > 0.2
    assert 0 < learned.evaluation["rmse"] < 1
    against = learned.evaluation["against"]
    assert list(against) == ["model", "item_knn", "decayed_popularity", "popularity"]
    assert learned.evaluation["absent"] == {"served": "no model is in service"}
    assert against["item_knn"]["ndcg_at_10"]["low"] > against["decayed_popularity"]["ndcg_at_10"]["high"]
    placed = learned.arrays["track_ids"][~learned.arrays["fitted"]]
    assert placed.tolist() == list(range(49, 61))
    assert learned.evaluation["split"]["tracks"] == 60, "what nobody played is ranked too"
    rows = learned.arrays["item_factors"]
    for at, track_id in enumerate(range(49, 61), start=48):
        nearest = np.argsort(-(rows[:48] @ rows[at]) / np.linalg.norm(rows[:48], axis=1))[:3]
        assert {int(n) % STYLES for n in nearest} == {(track_id - 1) % STYLES}


def test_a_track_that_nobody_played_in_the_training_share_is_ranked_by_its_sound(learner: Learner) -> None:
    histories = tasteful()
    for number, (name, history) in enumerate(list(histories.items())[:12]):
        # the latest play of all is of a new track of the first style: it is held out, so nobody trained on it
        histories[name] = apply(history, play(49 if number % 2 else 55, 1_800_000_000_000))
    styles = np.eye(STYLES)[(np.arange(1, 61) - 1) % STYLES]
    features = Features(np.arange(1, 61), styles)
    for sound, found in ((features, True), (NO_FEATURES, False)):
        learned = learner(histories, features=sound)
        [cold] = [one for one in learned.evaluation["segments"] if one["name"] == "cold tracks"]
        assert (cold["users"], cold["held_out"]) == (12, 12)
        assert (cold["figures"]["model"]["recall_at_20"]["value"] > 0) is found
        assert cold["figures"]["item_knn"]["recall_at_20"]["value"] == 0


def test_equal_inputs_give_equal_factors(learner: Learner) -> None:
    config = TrainingConfig(rank=8, reg_param=0.3, alpha=1.0, max_iter=3, seed=7, blocks=2)
    parameters = {"rank": 8, "reg_param": 0.3, "alpha": 1.0, "max_iter": 3}
    ids = [model_digest(learner(tasteful(), config).arrays, parameters) for _ in range(2)]
    assert ids[0] == ids[1]


def test_the_error_of_pairs_of_which_none_is_known_is_none(spark: SparkSession) -> None:
    pairs = [(user, item, 1.0) for user in range(4) for item in range(4)]
    ratings = spark.createDataFrame(pairs, "user int, item int, rating float")
    held_out = spark.createDataFrame([(9, 9)], "user int, item int")
    known = spark.createDataFrame([(1, 2)], "user int, item int")

    fitted = fit(ratings, replace(CONFIG, max_iter=1), 2)

    assert held_out_rmse(fitted, held_out) is None
    assert held_out_rmse(fitted, known) is not None


def test_a_skip_is_a_negative(learner: Learner) -> None:
    """Half of the listeners skip one track: it moves away from those who like its style."""
    config = TrainingConfig(rank=6, reg_param=0.1, alpha=10.0, max_iter=6, seed=7, blocks=1)
    histories = tasteful()
    skipped = dict(histories)
    for name in list(histories)[::2]:
        for turn in range(8):
            skipped[name] = apply(skipped[name], play(7, 1_800_000_000_000 + turn, heard=0.1))
    both = [learner(one, config).arrays for one in (histories, skipped)]
    fond = [History(histories[name]) for name in list(histories)[1::2]]
    scores = []
    for arrays in both:
        rows = Model.build(
            "m",
            arrays["track_ids"],
            arrays["item_factors"],
            arrays["fitted"],
            arrays["popularity"],
            0.1,
            10.0,
        )
        users = fold_in(rows, [strengths(one) for one in fond])
        scores.append(float((users @ rows.factor_rows[rows.rows(np.array([7]))[0]]).mean()))
    assert scores[1] < 0.8 * scores[0]


def test_a_global_time_split_hides_what_came_after_one_moment(learner: Learner) -> None:
    histories = tasteful()  # everybody's play of turn n is of the same second
    late = user(903)
    histories[late] = EMPTY
    for turn in range(58, 63):
        histories[late] = apply(histories[late], play(1 + turn % 48, 1_700_000_000_000 + turn * 3_600_000))
    config = replace(CONFIG, split=Split.GLOBAL, max_iter=3)
    learned = learner(histories, config)
    split = learned.evaluation["split"]
    assert (split["kind"], split["users"]) == ("global", 40)  # who came later is not judged
    turns = (split["moment_s"] - 1_700_000_000) / 3_600
    assert 45 <= turns <= 56
    prepared = prepared_users(learner.spark, learner.uris, config)
    moved, moment_s = split_at_one_moment(prepared, 0.2)
    for row in moved.toArrow().to_pylist():
        rows = zip(row["strengths"], row["last_s"], row["held_out"], strict=True)
        assert all(at <= moment_s or held or value == 0 for value, at, held in rows)
    with pytest.raises(InvalidModel, match=r"0 of .* positive interactions have a time"):
        learner(tasteful(20, timed=False), config)


def test_listens_without_taste_do_not_beat_popularity(learner: Learner) -> None:
    random = np.random.default_rng(5)
    share = 1.0 / np.arange(1, 61) ** 1.2
    histories = {}
    for number in range(220):
        history = EMPTY
        for track in random.choice(60, 8, replace=False, p=share / share.sum()):
            history = apply(history, imported(int(track) + 1, 5))
        histories[user(number)] = history
    config = TrainingConfig(rank=24, reg_param=0.001, alpha=40.0, max_iter=8, seed=7, blocks=1)
    [reason] = learner(histories, config).reasons
    assert "not better than popularity" in reason


def test_users_and_tracks_left_out_are_counted(learner: Learner) -> None:
    histories = tasteful()
    history = EMPTY
    for n in range(2_900):
        history = apply(history, play(1 + n % 20, 1_700_000_000_000 + n))
    histories[user(900)] = history
    histories[user(901)] = apply(EMPTY, play(1, 1_700_000_000_000, heard=0.1))
    for number in range(3):  # tracks that are only ever skipped
        for track in (900, 901):
            skipped = play(track, 1_700_000_000_000, heard=0.1)
            histories[user(number)] = apply(histories[user(number)], skipped)
    config = TrainingConfig(rank=4, reg_param=0.3, alpha=1.0, max_iter=2, seed=7, blocks=1)
    learned = learner(histories, config)
    outliers = learned.evaluation["outliers"]
    assert {rule: found["users"] for rule, found in outliers.items()} == {
        "kept": 40, "impossible_rate": 1, "no_positive": 1,
    }  # fmt: skip
    assert learned.evaluation["dead_tracks"] == {"tracks": 2, "interactions": 6}
    assert not {900, 901} & set(learned.arrays["track_ids"].tolist())


def test_too_few_users_are_refused_in_one_sentence(learner: Learner) -> None:
    with pytest.raises(InvalidModel, match=r"3 users with .* tracks are too few to learn from"):
        learner(tasteful(3))


def test_a_snapshot_without_users_is_refused(learner: Learner) -> None:
    with pytest.raises(InvalidSnapshot, match="without parts"):
        learner({})
