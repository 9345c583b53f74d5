import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recommender.history import (
    CHOSEN,
    HIDDEN,
    LIKED,
    MAX_INTERACTIONS,
    MAX_NEWEST,
    History,
    apply,
    genre_key,
    is_completion,
    is_listen,
)
from schemas import events
from schemas.errors import InvalidSnapshot
from tests.builders import NOW_MS, event, imported, like, play, skip

_MANY = st.lists(
    st.one_of(
        st.builds(play, st.integers(1, 40), listened_ms=st.integers(0, 30_000)),
        st.builds(skip, st.integers(1, 40)),
        st.builds(like, st.integers(1, 40)),
        st.builds(imported, st.integers(1, 40), source=st.sampled_from(["a", "b"])),
    ),
    max_size=60,
)


def _fold(*given_events: events.UserEvent) -> History:
    history = History.empty()
    for one in given_events:
        history = apply(history, one)
    return history


def _row(history: History, track_id: int) -> np.void:
    [at] = np.flatnonzero(history.interactions["track_id"] == track_id)
    return history.interactions[at]


@pytest.mark.parametrize(
    ("listened_ms", "track_ms", "end_reason", "listen", "completion"),
    [
        (15_000, 30_000, "stopped", True, False),
        (14_999, 30_000, "stopped", False, False),
        (240_000, 900_000, "skipped", True, False),
        (24_000, 30_000, "finished", True, True),
        (20_000, 30_000, "finished", True, False),
    ],
)
def test_half_a_track_or_four_minutes_is_a_listen(
    listened_ms: int, track_ms: int, end_reason: str, listen: bool, completion: bool
) -> None:
    one = play(listened_ms=listened_ms, track_ms=track_ms, end_reason=end_reason)

    assert (is_listen(one), is_completion(one)) == (listen, completion)


def test_every_listen_of_a_track_counts_again() -> None:
    row = _row(_fold(play(7), play(7), skip(7)), 7)

    assert (row["listens"], row["completions"], row["skips"]) == (2, 2, 1)


def test_imports_set_the_count_of_their_source_and_never_add() -> None:
    history = _fold(imported(7, count=5), imported(7, count=9), imported(7, source="other", count=2))

    assert sorted(history.interactions["imported"].tolist()) == [2, 9]


def test_unlike_takes_a_like_back_and_unhide_a_hide() -> None:
    history = _fold(like(7), event(events.Hide, track_id=7), event(events.Unlike, track_id=7))
    assert _row(history, 7)["flags"] == HIDDEN

    history = apply(history, event(events.Unhide, track_id=7))
    assert _row(history, 7)["flags"] == 0


def test_a_hidden_artist_is_kept_until_it_is_shown_again() -> None:
    history = _fold(event(events.Hide, artist_id=3), event(events.Hide, artist_id=2))
    assert history.hidden_artists.tolist() == [2, 3]

    assert apply(history, event(events.Unhide, artist_id=3)).hidden_artists.tolist() == [2]


def test_a_start_of_taste_notes_genres_and_tracks() -> None:
    history = _fold(event(events.TasteStart, genres=["Rock", "Jazz", "rock"], track_ids=[4]))

    assert history.genres.tolist() == [genre_key("rock"), genre_key("jazz")]
    assert _row(history, 4)["flags"] == CHOSEN


def test_forgetting_all_leaves_nothing_but_the_windows() -> None:
    history = _fold(play(1), like(2), event(events.Hide, artist_id=3))

    forgotten = apply(history, event(events.Forget, scope="all"))

    assert len(forgotten.interactions) == len(forgotten.hidden_artists) == 0
    assert forgotten.windows == history.windows


def test_a_history_is_bounded_and_keeps_what_is_newest_strongest_or_said() -> None:
    said = like(1, server_time_ms=NOW_MS)
    strong = imported(2, count=1_000, last_time_ms=NOW_MS)
    weak = [
        play(track_id, server_time_ms=NOW_MS + track_id * 1_000)
        for track_id in range(3, MAX_INTERACTIONS + 100)
    ]

    history = _fold(said, strong, *weak)

    kept = set(history.interactions["track_id"].tolist())
    assert len(kept) == MAX_INTERACTIONS
    assert {1, 2} <= kept
    assert {one.track_id for one in weak[-MAX_NEWEST:]} <= kept
    assert len(history.to_bytes()) < 200_000


@settings(max_examples=50)
@given(_MANY)
def test_a_history_comes_back_from_its_bytes(many: list[events.UserEvent]) -> None:
    data = _fold(*many).to_bytes()

    assert History.from_bytes(data).to_bytes() == data


@settings(max_examples=50)
@given(_MANY)
def test_a_history_equals_counts_in_a_plain_dictionary(many: list[events.UserEvent]) -> None:
    listens: dict[int, int] = {}
    counts: dict[tuple[int, str], int] = {}
    liked = {one.track_id for one in many if isinstance(one, events.Like)}
    for one in many:
        if isinstance(one, events.Play) and one.listened_ms * 2 >= one.track_ms:
            listens[one.track_id] = listens.get(one.track_id, 0) + 1
        elif isinstance(one, events.ImportedListens):
            counts[one.track_id, one.source] = one.count

    rows = _fold(*many).interactions

    for track_id in range(1, 41):
        mine = rows[rows["track_id"] == track_id]
        assert mine["listens"].sum() == listens.get(track_id, 0)
        assert mine["imported"].sum() == sum(n for (t, _), n in counts.items() if t == track_id)
        assert bool((mine["flags"] & LIKED).any()) is (track_id in liked)


def test_cut_bytes_are_refused() -> None:
    data = _fold(play(1)).to_bytes()

    with pytest.raises(InvalidSnapshot, match="not a history"):
        History.from_bytes(data[:-1])
