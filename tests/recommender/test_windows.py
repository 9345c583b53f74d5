from hypothesis import given
from hypothesis import strategies as st

from recommender.windows import MAX_SESSIONS, NO_WINDOWS, WINDOW, Outcome, Windows, admit


def _run(events: list[tuple[str, int]]) -> tuple[list[Outcome], Windows]:
    windows, outcomes = NO_WINDOWS, []
    for at, (session, seq) in enumerate(events):
        outcome, windows = admit(windows, session, seq, client_time_ms=1_000 + at)
        outcomes.append(outcome)
    return outcomes, windows


def test_an_event_that_comes_again_is_a_duplicate() -> None:
    outcomes, _ = _run([("a", 1), ("a", 1), ("b", 1), ("a", 1)])

    assert outcomes == [Outcome.APPLIED, Outcome.DUPLICATE, Outcome.APPLIED, Outcome.DUPLICATE]


def test_events_within_the_window_may_come_in_any_order() -> None:
    outcomes, _ = _run([("a", seq) for seq in (WINDOW, 1, 30, 2, 1, 30)])

    assert outcomes == [*[Outcome.APPLIED] * 4, Outcome.DUPLICATE, Outcome.DUPLICATE]


def test_an_event_below_the_window_is_late() -> None:
    outcomes, _ = _run([("a", WINDOW), ("a", 0)])

    assert outcomes == [Outcome.APPLIED, Outcome.LATE]


def test_an_old_event_of_an_evicted_session_is_late_and_a_newer_session_is_not() -> None:
    sessions = [(f"s{number}", 1) for number in range(MAX_SESSIONS + 1)]
    _, windows = _run(sessions)

    again, _ = admit(windows, "s0", 1, client_time_ms=1_000)
    new, _ = admit(windows, "new", 1, client_time_ms=5_000)

    assert len(windows.sessions) == MAX_SESSIONS
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
