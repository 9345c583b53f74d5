from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recommender.partition import PartitionState, Record
from recommender.windows import Outcome
from schemas import events
from schemas.errors import HoleInLog
from tests.builders import NOW_MS, event, generation, imported, like, play, records

_ACTIVATE = events.Activate(model_id="m1", seq=1, server_time_ms=NOW_MS)
_BARRIER = events.Barrier(snapshot_id="snap", server_time_ms=NOW_MS)


def _log(size: int = 60) -> list[Record]:
    """Return a log with every class of record in it."""
    plays = [(number % 5, play(number % 9 + 1, seq=number // 10)) for number in range(size)]
    good = records((None, generation()), *plays, (None, _ACTIVATE), (None, _BARRIER), (1, like(3, seq=900)))
    bad: Record = (len(good), b"nobody", events.encode(play()))
    worse: Record = (len(good) + 1, b"0" * 32, b"{")
    return [*good, bad, worse]


def test_every_offset_falls_in_exactly_one_class() -> None:
    state = PartitionState(3)

    state.fold(_log())

    assert sum(state.counts.values()) == state.position == len(_log())
    assert state.counts[Outcome.CONTROL] == 3
    assert state.counts[Outcome.DEAD] == 2
    assert state.counts[Outcome.DUPLICATE] > 0


@settings(max_examples=30)
@given(st.lists(st.integers(1, 64), max_size=8))
def test_any_batching_of_a_log_gives_the_same_state(cuts: list[int]) -> None:
    whole, batched, log = PartitionState(0), PartitionState(0), _log()
    whole.fold(log)

    edges = sorted({0, len(log), *(cut for cut in cuts if cut < len(log))})
    for start, end in pairwise(edges):
        batched.fold(log[start:end])

    assert batched.digest() == whole.digest()


def test_a_hole_and_a_repetition_are_refused_and_change_nothing() -> None:
    state, log = PartitionState(0), _log()
    state.fold(log[:10])
    before = state.digest()

    for first in (11, 9):
        with pytest.raises(HoleInLog, match="10 is next"):
            state.fold(log[first:])

    assert state.digest() == before


def test_a_barrier_is_told_with_the_state_exactly_below_it() -> None:
    state, below, log = PartitionState(0), PartitionState(0), _log()
    at = next(offset for offset, _, value in log if events.decode(value) == _BARRIER)
    below.fold(log[:at])
    told = []

    state.fold(log, lambda one, barrier: told.append((one.copy(), barrier)))

    [(copied, barrier)] = told
    assert barrier == _BARRIER
    assert copied.position == at
    assert copied.digest() == below.digest()


def test_an_activation_counts_only_with_a_greater_number() -> None:
    state = PartitionState(0)
    newer = events.Activate(model_id="m2", seq=5, server_time_ms=NOW_MS)

    state.fold(records((None, generation()), (None, newer), (None, _ACTIVATE)))

    assert (state.model_id, state.model_seq) == ("m2", 5)


def test_a_control_record_with_a_key_is_dead() -> None:
    state = PartitionState(0)

    [folded] = state.fold(records((1, _ACTIVATE)))

    assert folded.outcome is Outcome.DEAD
    assert state.model_id is None


def test_forgetting_less_than_all_is_dead_until_the_fold_can_do_it() -> None:
    [folded] = PartitionState(0).fold(records((1, event(events.Forget, scope="span"))))

    assert folded.outcome is Outcome.DEAD
    assert "not supported" in (folded.reason or "")


def test_redelivery_has_no_effect_on_histories() -> None:
    once, twice = PartitionState(0), PartitionState(0)
    plays = [(1, play(track, seq=track)) for track in range(1, 20)]
    once.fold(records(*plays))

    twice.fold(records(*plays, *plays))

    assert twice.histories == once.histories


_MOST = {"client_time_ms": events.MAX_TIME_MS, "server_time_ms": events.MAX_TIME_MS, "seq": events.MAX_SEQ}


@pytest.mark.parametrize(
    "one",
    [
        play(events.MAX_ID, listened_ms=86_400_000, track_ms=1, **_MOST),
        like(events.MAX_ID, **_MOST),
        event(events.Hide, artist_id=events.MAX_ID, **_MOST),
        event(events.Less, track_id=events.MAX_ID, **_MOST),
        event(events.TasteStart, genres=["x" * 128] * 20, track_ids=[events.MAX_ID] * 50, **_MOST),
        imported(events.MAX_ID, count=2**32 - 1, last_time_ms=events.MAX_TIME_MS, **_MOST),
        event(events.Forget, scope="all", **_MOST),
    ],
    ids=lambda one: type(one).__name__,
)
def test_the_greatest_values_that_an_event_may_hold_are_folded(one: events.UserEvent) -> None:
    state = PartitionState(0)

    folded = state.fold(records((1, one), (1, play(1, seq=1, session="other"))))

    assert [result.outcome for result in folded] == [Outcome.APPLIED, Outcome.APPLIED]


def test_a_dead_record_says_why_in_few_words() -> None:
    [folded] = PartitionState(0).fold([(0, b"\xff" * 300_000, events.encode(play()))])

    assert folded.outcome is Outcome.DEAD
    assert len(folded.reason or "") < 300
