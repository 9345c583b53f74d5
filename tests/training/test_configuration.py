"""The numbers of a training, and its name."""

import pytest

from schemas.settings import Settings
from training import configuration
from training.configuration import SMALL_USERS, TrainingConfig, training_id, versions


def test_no_more_blocks_than_whose_sum_is_the_same_in_either_order_unless_they_are_asked_for() -> None:
    assert TrainingConfig.from_settings(Settings()).blocks == 2
    assert TrainingConfig.from_settings(Settings(als_blocks=8)).blocks == 8


def test_few_users_are_one_block() -> None:
    config = TrainingConfig.from_settings(Settings(als_blocks=8))
    assert config.sized_for(SMALL_USERS - 1).blocks == 1
    assert config.sized_for(SMALL_USERS).blocks == 8


def test_other_arithmetic_is_another_training(monkeypatch: pytest.MonkeyPatch) -> None:
    config = TrainingConfig.from_settings(Settings())
    here = training_id(config, {"parts": ["a"]})
    assert here == training_id(config, {"parts": ["a"]})
    assert here != training_id(config, {"parts": ["b"]})
    monkeypatch.setattr(configuration, "native_blas", lambda: None)
    assert versions()["blas"] == "java"
    assert here != training_id(config, {"parts": ["a"]})
