"""The split inside the training part."""

import numpy as np
import pyarrow as pa

from recommender.encoding import EMPTY
from recommender.history import apply
from tests.training.listeners import imported, play, tasteful, user
from training.configuration import TrainingConfig
from training.preparation import prepare_batches
from training.validation import split_batches

CONFIG = TrainingConfig(rank=8, reg_param=0.3, alpha=1.0, max_iter=3, seed=7)


def prepared(histories: dict[str, bytes]) -> pa.RecordBatch:
    batch = pa.RecordBatch.from_pydict(
        {"user_id": list(histories), "history": pa.array(list(histories.values()), pa.binary())}
    )
    [found] = prepare_batches(iter([batch]), CONFIG)
    return found


def test_what_the_judgement_hides_is_gone_and_the_latest_of_the_rest_is_held_out() -> None:
    outer = prepared(tasteful())
    [inner] = split_batches(iter([outer]), CONFIG)
    assert inner.schema == outer.schema
    for before, after in zip(outer.to_pylist(), inner.to_pylist(), strict=True):
        hidden = {t for t, held in zip(before["track_ids"], before["held_out"], strict=True) if held}
        shown = [t for t in before["track_ids"] if t not in hidden]
        assert hidden
        assert after["track_ids"] == shown
        assert after["user_id"] == before["user_id"]
        assert after["timed"]
        held = np.array(after["held_out"])
        assert held.sum() == max(1, round(0.2 * (np.array(after["strengths"]) > 0).sum()))
        last_s, positive = np.array(after["last_s"]), np.array(after["strengths"]) > 0
        assert last_s[held].min() >= last_s[~held & positive].max()


def test_the_draw_without_times_is_another_than_the_judgements() -> None:
    outer = prepared(tasteful(timed=False))
    [inner] = split_batches(iter([outer]), CONFIG)
    [again] = split_batches(iter([outer]), CONFIG)
    assert inner.equals(again)
    assert not any(inner["timed"].to_pylist())
    assert sum(map(sum, inner["held_out"].to_pylist())) > 0


def test_a_user_of_whom_nothing_positive_is_left_is_left_out() -> None:
    # three likes of which one is hidden: the others stay; a skip alone does not keep a user
    likes = EMPTY
    for track in (1, 2, 3):
        likes = apply(likes, imported(track, 5))
    skips = apply(EMPTY, play(9, 1_700_000_000_000, heard=0.1))
    outer = prepared({user(1): likes, user(2): skips})
    [inner] = split_batches(iter([outer]), CONFIG)
    assert inner["user_id"].to_pylist() == [user(1)]
    assert len(inner["track_ids"].to_pylist()[0]) == 2
    assert not any(inner["held_out"].to_pylist()[0])  # two are too few to split again
