import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recommender.encoding import (
    CHOSEN,
    EMPTY,
    HEADER,
    HERE,
    HIDDEN,
    INTERACTION,
    LESS,
    LIKED,
    MAX_LISTENS,
    MAX_SKIPS,
    MAX_SOURCES,
    ROW,
    History,
)
from recommender.history import (
    MAX_HIDDEN_ARTISTS,
    MAX_INTERACTIONS,
    MAX_NEWEST,
    apply,
    genre_key,
    is_completion,
    is_listen,
    source_key,
)
from recommender.windows import admit, windows_of
from schemas import events
from schemas.errors import InvalidSnapshot, MalformedEvent
from tests.builders import NOW_MS, event, imported, like, play, skip
from tests.recommender.dictionary_model import DictionaryHistory

_TRACKS = st.one_of(st.integers(1, 40), st.sampled_from([256, 2**16, 2**32 + 1, 2**53 - 1]))
_TIMES = st.integers(NOW_MS - 10**9, NOW_MS + 10**9)
_HEARD = {"listened_ms": st.integers(0, 300_000), "track_ms": st.integers(1, 600_000)}
_END = st.sampled_from(["finished", "skipped", "stopped"])
_EVENT = st.one_of(
    st.builds(play, _TRACKS, **_HEARD, end_reason=_END, server_time_ms=_TIMES),
    st.builds(play, _TRACKS, **_HEARD, end_reason=_END, server_time_ms=_TIMES),
    st.builds(like, _TRACKS, server_time_ms=_TIMES),
    st.builds(
        imported,
        _TRACKS,
        source=st.sampled_from(["a", "b", "c"]),
        count=st.integers(0, 2**32 - 1),
        last_time_ms=st.none() | _TIMES,
    ),
    st.builds(
        lambda kind, track_id, now: event(kind, track_id=track_id, server_time_ms=now),
        st.sampled_from([events.Unlike, events.Hide, events.Unhide, events.Less]),
        _TRACKS,
        _TIMES,
    ),
    st.builds(
        lambda kind, artist_id: event(kind, artist_id=artist_id),
        st.sampled_from([events.Hide, events.Unhide]),
        st.integers(1, 5),
    ),
    st.builds(
        lambda genres, tracks: event(events.TasteStart, genres=genres, track_ids=tracks),
        st.lists(st.sampled_from(["Rock", "rock", "Jazz", "Folk"]), max_size=4),
        st.lists(_TRACKS, max_size=3),
    ),
)
_FLAGS = {"liked": LIKED, "hidden": HIDDEN, "less": LESS, "chosen": CHOSEN}
_MANY = st.lists(st.one_of(_EVENT, _EVENT, _EVENT, st.just(event(events.Forget, scope="all"))), max_size=60)


def _bytes(*given_events: events.UserEvent) -> bytes:
    history = EMPTY
    for one in given_events:
        history = apply(history, one)
    return history


def _fold(*given_events: events.UserEvent) -> History:
    return History.from_bytes(_bytes(*given_events))


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

    shown = apply(history.data, event(events.Unhide, track_id=7))
    assert _row(History(shown), 7)["flags"] == 0


def test_a_hidden_artist_is_kept_until_it_is_shown_again() -> None:
    history = _fold(event(events.Hide, artist_id=3), event(events.Hide, artist_id=2))
    assert history.hidden_artists.tolist() == [3, 2]

    shown = apply(history.data, event(events.Unhide, artist_id=3))
    assert History(shown).hidden_artists.tolist() == [2]


def test_of_too_many_hidden_artists_the_one_hidden_first_goes() -> None:
    many = [event(events.Hide, artist_id=artist) for artist in range(1_000, 1_000 + MAX_HIDDEN_ARTISTS)]

    hidden = _fold(*many, event(events.Hide, artist_id=5), event(events.Hide, artist_id=1_001))

    kept = [*range(1_002, 1_000 + MAX_HIDDEN_ARTISTS), 5, 1_001]
    assert hidden.hidden_artists.tolist() == kept
    again = _fold(*many, event(events.Hide, artist_id=1_000), event(events.Hide, artist_id=5))
    assert again.hidden_artists.tolist() == [*range(1_002, 1_000 + MAX_HIDDEN_ARTISTS), 1_000, 5]


def test_a_start_of_taste_notes_genres_and_tracks() -> None:
    history = _fold(event(events.TasteStart, genres=["Rock", "Jazz", "rock"], track_ids=[4]))

    assert history.genres.tolist() == [genre_key("rock"), genre_key("jazz")]
    assert _row(history, 4)["flags"] == CHOSEN


def test_forgetting_all_leaves_nothing_but_the_windows() -> None:
    _, known = admit(_bytes(play(1), like(2), event(events.Hide, artist_id=3)), "s", 1, NOW_MS)

    forgotten = apply(known, event(events.Forget, scope="all"))

    left = History(forgotten)
    assert len(left.interactions) == len(left.hidden_artists) == len(left.genres) == 0
    assert windows_of(forgotten) == windows_of(known) != {}


def test_an_interaction_takes_sixteen_bytes() -> None:
    plays = [play(track_id, listened_ms=30_000) for track_id in range(1, 51)]
    imports = [imported(track_id, source="a", count=7) for track_id in range(1, 51)]

    assert len(_bytes(*plays)) == HEADER.size + 50 * 16
    assert len(_bytes(*plays, *imports)) == HEADER.size + 4 + 100 * 16


def test_counts_stop_at_their_greatest_value_and_spoil_no_other() -> None:
    row = _row(_fold(*[play(7)] * (MAX_LISTENS + 5), *[skip(7)] * (MAX_SKIPS + 5), like(7)), 7)

    assert (row["listens"], row["completions"], row["skips"]) == (MAX_LISTENS, MAX_LISTENS, MAX_SKIPS)
    assert row["flags"] == LIKED


def test_a_track_is_found_though_its_bytes_stand_elsewhere_by_chance() -> None:
    # the seconds and counts of the first row spell the id of the second track
    first = imported(1, count=0x01020304, last_time_ms=0x05060708 * 1000)
    spelled = 0x0102_0304_0506_07
    history = _fold(first, play(spelled), play(spelled), play(2))

    assert history.interactions["track_id"].tolist() == [1, spelled, 2]
    assert _row(history, spelled)["listens"] == 2


def test_a_sixteenth_source_of_imports_is_refused_and_fifteen_are_kept_apart() -> None:
    history = _bytes(*(imported(7, source=f"s{n}", count=n) for n in range(MAX_SOURCES)))

    with pytest.raises(MalformedEvent, match=r"'one-more'.*room for 15 sources"):
        apply(history, imported(7, source="one-more"))
    rows = History(history).interactions
    assert dict(zip(rows["source"].tolist(), rows["imported"].tolist(), strict=True)) == {
        source_key(f"s{n}"): n for n in range(MAX_SOURCES)
    }


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


def test_what_the_user_said_outlives_what_was_merely_played() -> None:
    said = [like(track_id, server_time_ms=NOW_MS) for track_id in range(1, 201)]
    heard = [
        play(1_000 + n % 900, server_time_ms=NOW_MS + n * 1_000, listened_ms=30_000) for n in range(2_000)
    ]

    kept = set(_fold(*said, *heard).interactions["track_id"].tolist())

    assert set(range(1, 201)) <= kept


def test_what_is_hidden_outlives_what_is_liked() -> None:
    hidden = [
        event(events.Hide, track_id=track_id, server_time_ms=NOW_MS + track_id) for track_id in range(1, 11)
    ]
    said = [
        one(track_id, server_time_ms=NOW_MS + track_id * 1_000)
        for track_id in range(11, 11 + 2 * MAX_INTERACTIONS)
        for one in (like, play)
    ]

    kept = set(_fold(*hidden, *said).interactions["track_id"].tolist())

    assert set(range(1, 11)) <= kept
    assert len(kept) == MAX_INTERACTIONS


@settings(max_examples=60)
@given(_MANY)
def test_a_history_is_made_anew_from_what_it_holds(many: list[events.UserEvent]) -> None:
    history = _fold(*many)

    again = History.of(
        history.interactions,
        hidden_artists=history.hidden_artists.tolist(),
        genres=history.genres.tolist(),
        last_event_ms=history.last_event_ms,
    )

    for name in ("interactions", "hidden_artists", "genres"):
        assert getattr(again, name).tolist() == getattr(history, name).tolist()


@settings(max_examples=200)
@given(_MANY)
def test_a_history_equals_a_plain_dictionary_model(many: list[events.UserEvent]) -> None:
    model = DictionaryHistory()
    for one in many:
        model.apply(one)

    history = _fold(*many)

    rows = {
        (int(row["track_id"]), int(row["source"])): (
            int(row["last_s"]),
            int(row["imported"]) if row["source"] != HERE else
            (int(row["listens"]), int(row["completions"]), int(row["skips"])),
            {name for name, flag in _FLAGS.items() if row["flags"] & flag},
        )
        for row in history.interactions
    }  # fmt: skip
    assert rows == model.rows()
    assert list(rows) == list(model.rows()), "rows stand in the order of first occurrence"
    assert sorted(history.hidden_artists.tolist()) == sorted(model.hidden_artists)
    assert history.genres.tolist() == [genre_key(genre) for genre in model.genres]
    assert history.last_event_ms == model.last_event_ms


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(1, 700), min_size=520, max_size=900), st.integers(0, 2**32))
def test_a_history_never_exceeds_its_bounds(tracks: list[int], seed: int) -> None:
    draw = np.random.default_rng(seed)
    history = EMPTY
    for track_id in tracks:
        one = draw.choice([play, skip, like])(track_id, server_time_ms=NOW_MS + int(draw.integers(10**9)))
        history = apply(history, one)

    found = History.from_bytes(history)
    newest = sorted(found.interactions["last_s"].tolist())[-MAX_NEWEST:]
    assert len(found.interactions) == min(MAX_INTERACTIONS, len(set(tracks)))
    assert len(history) <= HEADER.size + MAX_INTERACTIONS * ROW.size
    assert len(newest) == min(MAX_NEWEST, len(found.interactions))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 40), st.integers(1, 6), st.floats(0, 1), st.integers(0, 15))
def test_what_a_full_history_drops_is_decided_by_the_rule_alone(
    seed: int, times: int, strengths: int, said: float, last_flags: int
) -> None:
    """Few distinct times and strengths: ties are decided too. The rule is stated here a second time."""
    draw = np.random.default_rng(seed)
    rows = np.zeros(MAX_INTERACTIONS, INTERACTION)
    rows["track_id"] = 1 + draw.permutation(MAX_INTERACTIONS)
    rows["last_s"] = draw.integers(1, times + 1, MAX_INTERACTIONS)
    rows["source"] = draw.choice([HERE, source_key("a"), source_key("b")], MAX_INTERACTIONS)
    here = rows["source"] == HERE
    rows["imported"] = np.where(here, 0, draw.choice([0, 1, 2, 2**32 - 1], MAX_INTERACTIONS))
    for name in ("listens", "completions", "skips"):
        rows[name] = np.where(here, draw.integers(0, strengths, MAX_INTERACTIONS), 0)
    flags = np.where(draw.random(MAX_INTERACTIONS) < said, draw.integers(0, 16, MAX_INTERACTIONS), last_flags)
    rows["flags"] = np.where(here, flags, 0)
    full = History.of(rows)
    newcomer = play(9_999, server_time_ms=1_000 * int(draw.integers(1, times + 1)))

    after = apply(full.to_bytes(), newcomer)

    [added] = _fold(newcomer).interactions
    everything = [*rows, added]
    older = sorted(range(len(everything)), key=lambda at: (everything[at]["last_s"], at))[:-MAX_NEWEST]

    def strength(at: int) -> tuple[int, int, int, int]:
        row = everything[at]
        said = 2 if row["flags"] & HIDDEN else 1 if row["flags"] & LIKED else 0
        weight = int(row["imported"]) + int(row["listens"]) - int(row["skips"])
        return said, weight, int(row["last_s"]), at

    del everything[min(older, key=strength)]
    expected = History.of(np.array(everything, INTERACTION), last_event_ms=newcomer.server_time_ms)
    assert after == expected.to_bytes()


@pytest.mark.parametrize(("newer", "dropped"), [(MAX_NEWEST - 1, False), (MAX_NEWEST, True)])
def test_the_newest_are_kept_however_weak_and_no_one_beyond_them(newer: int, dropped: bool) -> None:
    """A track that was skipped, with so many played since: it is the weakest of all."""
    skipped = MAX_INTERACTIONS + 1 - newer
    given = [
        (skip if track == skipped else play)(track, server_time_ms=NOW_MS + 1_000 * track)
        for track in range(1, MAX_INTERACTIONS + 2)
    ]

    tracks = _fold(*given).interactions["track_id"].tolist()

    assert (skipped not in tracks) == dropped
    assert (1 not in tracks) == (not dropped)


def test_cut_bytes_are_refused() -> None:
    data = _fold(play(1)).to_bytes()

    with pytest.raises(InvalidSnapshot, match="not a history"):
        History.from_bytes(data[:-1])
