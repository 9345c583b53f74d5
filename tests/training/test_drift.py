"""Drift: whose taste has moved since the model's snapshot."""

import numpy as np

from connections.documents import open_documents
from connections.log_topics import ensure_topics
from recommender.encoding import EMPTY, History
from recommender.history import apply
from recommender.model import Model, canonical_arrays, model_digest
from schemas.settings import Settings
from tests.training.conftest import snapshot_of
from tests.training.listeners import STYLES, TRACKS, imported, play, user
from tests.training.test_publication import ASKED
from training.drift import drift
from training.publication import publish
from training.trainer import Trainer

START_MS = 1_700_000_000_000
SINCE_S = START_MS / 1000 + 1_000
IDS = np.arange(1, TRACKS + 1)


def model() -> Model:
    """Return factors of which each axis is a style."""
    rows = np.eye(STYLES, dtype=np.float32)[(IDS - 1) % STYLES]
    ones = np.ones(TRACKS)
    return Model.build("m", IDS, rows, ones.astype(bool), ones, 0.1, 1.0)


def listener(*plays: tuple[int, int]) -> History:
    """Return who played (style, number) tracks: before the snapshot those of number 0 to 3, then others."""
    history = EMPTY
    for style, number in plays:
        time_ms = START_MS + number if number < 4 else START_MS + 2_000_000 + number
        history = apply(history, play(1 + style + STYLES * number, time_ms))
    return History(history)


def test_who_goes_on_as_before_has_not_moved() -> None:
    faithful = listener(*((0, number) for number in range(5)))
    found = drift(model(), [faithful], SINCE_S)
    assert (found.users, found.moved) == (1, 0)


def test_who_hears_the_same_tracks_again_has_not_moved() -> None:
    history = EMPTY
    for time_ms in (START_MS, START_MS + 2_000_000):
        for number in range(6):
            history = apply(history, play(1 + STYLES * number, time_ms + number))
    found = drift(model(), [History(history)], SINCE_S)
    assert (found.users, found.moved) == (1, 0)


def test_who_turns_to_another_style_has_moved() -> None:
    turned = listener((0, 0), (0, 1), *((3, number) for number in range(4, 8)))
    found = drift(model(), [turned], SINCE_S)
    assert (found.users, found.moved, found.share) == (1, 1, 1.0)


def test_a_new_user_has_moved_and_one_without_taste_is_not_counted() -> None:
    new = listener(*((2, number) for number in range(4, 7)))
    imports = History(apply(EMPTY, imported(1, 5)))  # without a time: known since ever
    found = drift(model(), [new, History.empty(), imports], SINCE_S)
    assert (found.users, found.moved) == (2, 1)


def test_nobody_is_no_drift() -> None:
    assert drift(model(), [], SINCE_S).share == 0.0


async def test_the_trainer_trains_when_a_third_of_the_sample_has_moved_and_measures_once(
    settings: Settings,
) -> None:
    settings = settings.model_copy(update={"train_interval_s": 1e12})  # age is no reason
    generation = await ensure_topics(settings)
    arrays = canonical_arrays(IDS, model().factor_rows, np.ones(TRACKS, bool), np.ones(TRACKS))
    parameters = {"rank": STYLES, "reg_param": 0.1, "alpha": 1.0, "max_iter": 3}
    trained_on = {"created_ms": int(SINCE_S * 1000), "applied": 10_000, "users": 30}
    document = parameters | {
        "_id": model_digest(arrays, parameters), "training_id": "t", "snapshot_id": "s-0000",
        "generation": generation, "metrics": {"snapshot": trained_on}, "created_ms": int(SINCE_S * 1000),
    }  # fmt: skip
    faithful = listener(*((0, number) for number in range(5))).data
    turned = listener((0, 0), (0, 1), *((3, number) for number in range(4, 8))).data
    async with open_documents(settings) as database:
        await publish(settings, database, document, arrays, ASKED)
        for name, moved, expected in (
            ("s-0001", 10, "drift: the taste of 10 of 30 sampled users has moved"),
            ("s-0002", 8, None),
        ):
            histories = {user(number): turned if number < moved else faithful for number in range(30)}
            manifest = snapshot_of(settings, generation, histories, name, applied=10_200)
            trainer = Trainer(settings)
            assert await trainer.reason(database, manifest) == expected
            assert await trainer.reason(database, manifest) is None
