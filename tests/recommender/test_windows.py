from hypothesis import given
from hypothesis import strategies as st

from recommender.encoding import EMPTY, History
from recommender.history import apply
from recommender.windows import MAX_SESSIONS, SEEN, Outcome, admit, session_key, windows_of
from tests.builders import imported, play


def _run(events: list[tuple[str, int]]) -> tuple[list[Outcome], bytes]:
    history, outcomes = EMPTY, []
    for at, (session, seq) in enumerate(events):
        outcome, history = admit(history, session, seq, client_time_ms=1_000 + at)
        outcomes.append(outcome)
    return outcomes, history


def test_an_event_that_comes_again_is_a_duplicate() -> None:
    outcomes, _ = _run([("a", 1), ("a", 1), ("b", 1), ("a", 1)])

    assert outcomes == [Outcome.APPLIED, Outcome.DUPLICATE, Outcome.APPLIED, Outcome.DUPLICATE]


def test_events_within_the_window_may_come_in_any_order() -> None:
    outcomes, _ = _run([("a", seq) for seq in (SEEN, 1, 30, 2, 1, 30)])

    assert outcomes == [*[Outcome.APPLIED] * 4, Outcome.DUPLICATE, Outcome.DUPLICATE]


def test_an_event_below_the_window_is_late() -> None:
    outcomes, _ = _run([("a", SEEN), ("a", 0)])

    assert outcomes == [Outcome.APPLIED, Outcome.LATE]


def test_an_old_event_of_an_evicted_session_is_late_and_a_newer_session_is_not() -> None:
    sessions = [(f"s{number}", 1) for number in range(MAX_SESSIONS + 1)]
    _, history = _run(sessions)

    again, _ = admit(history, "s0", 1, client_time_ms=1_000)
    new, _ = admit(history, "new", 1, client_time_ms=5_000)

    assert len(windows_of(history)) == MAX_SESSIONS
    assert (again, new) == (Outcome.LATE, Outcome.APPLIED)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 63)), max_size=200))
def test_within_the_window_exactly_the_first_of_each_event_is_applied(events: list[tuple[str, int]]) -> None:
    outcomes, _ = _run(events)

    seen: set[tuple[str, int]] = set()
    for event, outcome in zip(events, outcomes, strict=True):
        assert outcome is (Outcome.DUPLICATE if event in seen else Outcome.APPLIED)
        seen.add(event)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 500)), max_size=200))
def test_no_event_is_ever_applied_twice(events: list[tuple[str, int]]) -> None:
    outcomes, _ = _run(events)

    applied = [event for event, outcome in zip(events, outcomes, strict=True) if outcome is Outcome.APPLIED]
    assert len(applied) == len(set(applied))


def test_the_session_used_last_stands_at_the_end_and_is_evicted_last() -> None:
    _, history = _run([*((f"s{number}", 1) for number in range(MAX_SESSIONS)), ("s0", 2), ("new", 1)])

    kept = list(windows_of(history))
    assert kept[-2:] == [session_key("s0"), session_key("new")]
    assert session_key("s1") not in kept


def test_a_window_is_noted_without_touching_what_else_a_history_holds() -> None:
    history = apply(apply(EMPTY, play(3)), imported(4))

    _, noted = admit(history, "a", 1, client_time_ms=5)
    _, noted = admit(noted, "b", 1, client_time_ms=5)
    _, noted = admit(noted, "a", 2, client_time_ms=4)

    assert History(noted).interactions.tolist() == History(history).interactions.tolist()
    assert History(noted).last_event_ms == History(history).last_event_ms
    window = windows_of(noted)[session_key("a")]
    assert (window.highest, window.seen, window.last_ms) == (2, 0b11, 5)
