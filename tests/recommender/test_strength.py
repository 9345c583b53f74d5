import math

import numpy as np
import pytest

from recommender.encoding import EMPTY, History
from recommender.history import apply
from recommender.strength import HALF_LIFE_S, strengths
from schemas import events
from tests.builders import NOW_MS, event, imported, like, play, skip


def _strengths(*given: events.UserEvent) -> dict[int, float]:
    history = EMPTY
    for one in given:
        history = apply(history, one)
    track_ids, values = strengths(History(history))
    return dict(zip(track_ids.tolist(), values.tolist(), strict=True))


def test_a_listen_counts_by_the_logarithm_and_a_completion_adds_a_quarter() -> None:
    found = _strengths(play(1, listened_ms=15_000, end_reason="stopped"), play(2))

    assert found == pytest.approx({1: math.log(2), 2: 1.25 * math.log(2)})


def test_a_skip_lowers_the_strength_below_nothing() -> None:
    assert _strengths(skip(1))[1] < 0


def test_a_like_raises_and_a_hide_lowers_the_strength() -> None:
    found = _strengths(play(1), play(2), play(3), like(1), event(events.Hide, track_id=3))

    assert found[1] > found[2] > 0 > found[3]


def test_strength_halves_with_every_half_life_of_event_time() -> None:
    old, new = play(1), play(2, server_time_ms=NOW_MS + HALF_LIFE_S * 1000)

    found = _strengths(old, new)

    assert found[1] == pytest.approx(found[2] / 2)


def test_imports_without_a_time_do_not_age_and_add_up_over_sources() -> None:
    found = _strengths(imported(1), imported(1, source="other"), play(2, server_time_ms=2 * NOW_MS))

    assert found[1] == pytest.approx(2 * math.log(4))


def test_a_stopped_play_that_was_no_listen_says_nothing() -> None:
    assert _strengths(play(1, listened_ms=1_000, end_reason="stopped")) == {}


def test_no_history_gives_no_strengths() -> None:
    track_ids, values = strengths(History.empty())

    assert (track_ids.dtype, values.dtype, len(values)) == (np.int64, np.float64, 0)
