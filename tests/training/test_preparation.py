"""Outlier rules and the split of one user."""

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from recommender.encoding import EMPTY, History
from recommender.history import apply
from schemas import events
from tests.builders import event
from tests.training.listeners import imported, play, user
from training.configuration import TrainingConfig
from training.preparation import (
    IMPOSSIBLE_RATE,
    KEPT,
    NO_POSITIVE,
    PREPARED,
    hold_out,
    listens_per_day,
    prepare_batches,
    prepare_user,
)

CONFIG = TrainingConfig(rank=8, reg_param=0.1, alpha=1.0, max_iter=3, seed=7)
HOUR_MS = 3_600_000
START_MS = 1_700_000_000_000


def history(*given_events: object) -> History:
    folded = EMPTY
    for one in given_events:
        folded = apply(folded, one)  # type: ignore[arg-type]
    return History(folded)


@given(
    st.lists(st.floats(-5, 5).filter(lambda value: value != 0), max_size=60),
    st.booleans(),
    st.integers(0, 2**32),
)
def test_only_positive_interactions_are_held_out_and_never_all(
    values: list[float], timed: bool, seed: int
) -> None:
    strengths = np.array(values)
    last_s = np.arange(1, len(values) + 1) if timed else np.zeros(len(values), np.int64)
    held_out, _ = hold_out(strengths, last_s.astype(np.int64), np.random.default_rng(seed), 0.2)
    positive = int((strengths > 0).sum())
    assert not held_out[strengths <= 0].any()
    assert held_out.sum() == (0 if positive < 3 else max(1, round(0.2 * positive)))


def test_with_times_the_latest_interactions_are_held_out() -> None:
    last_s = np.array([50, 10, 40, 30, 20, 5, 6, 7, 8, 9])
    held_out, timed = hold_out(np.ones(10), last_s, np.random.default_rng(0), 0.2)
    assert timed
    assert np.flatnonzero(held_out).tolist() == [0, 2]


def test_without_times_the_draw_depends_on_the_seed_and_the_user_alone() -> None:
    of = history(*(imported(track, 3) for track in range(1, 31)))
    again = [prepare_user(of, user(1), CONFIG).held_out.tolist() for _ in range(2)]
    assert again[0] == again[1]
    assert again[0] != prepare_user(of, user(2), CONFIG).held_out.tolist()
    assert not prepare_user(of, user(1), CONFIG).timed


def test_a_user_with_an_impossible_rate_of_listens_is_left_out() -> None:
    human = history(*(play(1 + n, START_MS + n * HOUR_MS) for n in range(30)))
    machine = history(*(play(1 + n % 20, START_MS + n) for n in range(2_900)))
    assert listens_per_day(human.interactions) < 30
    assert prepare_user(human, user(1), CONFIG).outcome == KEPT
    assert prepare_user(machine, user(1), CONFIG).outcome == IMPOSSIBLE_RATE


def test_imported_counts_do_not_make_a_machine() -> None:
    assert prepare_user(history(imported(1, 300_000)), user(1), CONFIG).outcome == KEPT


def test_a_user_who_only_skips_is_left_out() -> None:
    skipped = history(play(1, START_MS, heard=0.1), play(2, START_MS, heard=0.1))
    assert prepare_user(skipped, user(1), CONFIG).outcome == NO_POSITIVE


def test_an_absurd_strength_is_cut_and_counted() -> None:
    cut = TrainingConfig(rank=8, reg_param=0.1, alpha=1.0, max_iter=3, seed=7, max_strength=5.0)
    prepared = prepare_user(history(imported(1, 2**32 - 1), imported(2, 3)), user(1), cut)
    assert prepared.clipped == 1
    assert prepared.values.max() == 5.0


def test_when_a_track_was_first_met_is_known_where_the_history_tells_one_event_of_it() -> None:
    later_ms = START_MS + HOUR_MS
    met = history(
        play(1, START_MS), play(1, later_ms),  # heard again: the first time is forgotten
        play(2, later_ms),
        imported(3, 1), imported(4, 9),  # without a time
        play(5, START_MS, heard=0.1), play(5, later_ms),  # skipped before
        event(events.Like, track_id=6, server_time_ms=later_ms, client_time_ms=later_ms),
        play(7, START_MS), event(events.Like, track_id=7, server_time_ms=later_ms, client_time_ms=later_ms),
    )  # fmt: skip
    prepared = prepare_user(met, user(1), CONFIG)
    assert prepared.track_ids.tolist() == list(range(1, 8))
    known = prepared.track_ids[prepared.first_s > 0]
    assert known.tolist() == [2, 6]
    assert (prepared.first_s[prepared.first_s > 0] == later_ms // 1000).all()


def test_a_batch_has_a_row_per_user_and_the_stated_columns() -> None:
    histories = [history(play(1, START_MS)), History.empty()]
    batch = pa.RecordBatch.from_pydict(
        {"user_id": [user(1), user(2)], "history": [one.to_bytes() for one in histories]}
    )
    [prepared] = prepare_batches(iter([batch]), CONFIG)
    assert prepared.schema == PREPARED
    assert prepared["outcome"].to_pylist() == [KEPT, NO_POSITIVE]
    assert prepared["track_ids"].to_pylist() == [[1], []]
