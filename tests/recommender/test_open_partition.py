"""Folding in place makes exactly what folding one by one makes."""

import random
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recommender.open_partition import OpenPartition
from recommender.partition import PartitionState, Record
from recommender.windows import Outcome
from schemas import events
from schemas.errors import HoleInLog
from tests.builders import NOW_MS, event, generation, imported, like, play, skip, user_id

_USER_EVENTS = (
    *(play, play, play, skip, like, imported),
    lambda track, **given: event(events.Hide, track_id=track, **given),
    lambda track, **given: event(events.Hide, artist_id=track, **given),
    lambda track, **given: event(events.Unlike, track_id=track, **given),
    lambda track, **given: event(events.TasteStart, genres=["Rock"], track_ids=[track], **given),
    lambda track, **given: event(events.Forget, scope="all" if track % 2 else "span", **given),
)


@st.composite
def _records(draw: st.DrawFn) -> list[Record]:
    """A log of few users, tracks and sessions, so that everything meets everything."""
    made: list[tuple[bytes | None, bytes | None]] = [(None, events.encode(generation()))]
    for _ in range(draw(st.integers(0, 60))):
        key: bytes | None = user_id(draw(st.integers(1, 3))).encode()
        kind = draw(st.integers(0, 20))
        if kind == 0:
            made.append((None, events.encode(events.Activate(model_id="m", seq=3, server_time_ms=1))))
        elif kind == 1:
            made.append(
                (draw(st.sampled_from([key, None, b"nobody"])), draw(st.sampled_from([b"{", None, b""])))
            )
        elif kind == 2:
            made.append((b"\xff" * 32, events.encode(play())))
        else:
            one = draw(st.sampled_from(_USER_EVENTS))(
                draw(st.integers(1, 6)),
                session=draw(st.sampled_from(["a", "b", "c"])),
                seq=draw(st.integers(0, 90)),
                client_time_ms=NOW_MS + draw(st.integers(-5, 5)),
                server_time_ms=NOW_MS + draw(st.integers(-5_000, 5_000)),
            )
            made.append((key, events.encode(one)))
    return [(offset, key, value) for offset, (key, value) in enumerate(made)]


def _expected(log: list[Record]) -> PartitionState:
    state = PartitionState(4)
    state.fold(log)
    return state


@given(_records(), st.lists(st.integers(0, 61), max_size=4))
@settings(max_examples=150, deadline=None)
def test_any_log_folded_in_any_pieces_has_the_same_digest(log: list[Record], cuts: list[int]) -> None:
    opened = OpenPartition(PartitionState(4))
    edges = sorted({0, len(log), *(min(cut, len(log)) for cut in cuts)})
    for number, (start, end) in enumerate(pairwise(edges)):
        opened.fold(log[start:end])
        if number % 2:
            assert opened.closed().digest() == _expected(log[:end]).digest()

    assert opened.closed().digest() == _expected(log).digest()
    assert opened.closed().histories == _expected(log).histories


def test_long_histories_and_many_sessions_have_the_same_bytes() -> None:
    draw = random.Random(4)
    made = [(None, events.encode(generation()))]
    for seq in range(3_000):
        one = play(
            draw.randint(1, 900),
            session=f"s{draw.randint(0, 50)}",
            seq=seq,
            client_time_ms=NOW_MS + seq - draw.randrange(900),
        )
        made.append((user_id(draw.randint(1, 3)).encode(), events.encode(one)))
    log: list[Record] = [(offset, key, value) for offset, (key, value) in enumerate(made)]

    opened = OpenPartition(PartitionState(4))
    rest = opened.fold(log)

    state = opened.closed()
    assert state.digest() == _expected(log).digest()
    assert state.counts[Outcome.LATE] > 0
    assert len(rest) == 1 + 3  # the log's name and each user's first play
    again = (len(log), user_id(1).encode(), events.encode(play(5, session="after", seq=1)))
    assert opened.fold([again]) == []  # nobody is new to a state
    assert opened.closed().digest() == _expected([*log, again]).digest()


def test_a_hole_leaves_what_was_folded_before_it() -> None:
    log: list[Record] = [
        (0, None, events.encode(generation())),
        *((at, user_id(1).encode(), events.encode(play(at, seq=at))) for at in range(1, 9)),
    ]
    opened = OpenPartition(PartitionState(4))

    with pytest.raises(HoleInLog, match="partition 4: offset 7 was delivered, 6 is next"):
        opened.fold([*log[:6], *log[7:]])

    assert opened.position == 6
    assert opened.closed().digest() == _expected(log[:6]).digest()
