"""The synthetic listeners: seeded, true to their taste, and valid for the one intake path."""

from connections.intake import prepare
from stack.demo import Demo
from stack.demo import _turns as turns
from stack.listeners import FAITHFUL_SHARE, Track, make_events, make_listeners, read_track

GENRES = ("ambient", "folk", "techno")
TRACKS = [Track(number, (GENRES[number % 3],), 24_000) for number in range(1, 31)]


def test_the_same_seed_gives_the_same_listeners_and_the_same_events() -> None:
    first, second = (make_listeners(TRACKS, 6, seed=4) for _ in range(2))
    assert first == second
    assert list(make_events(first[2], TRACKS, 40, "a")) == list(make_events(second[2], TRACKS, 40, "a"))
    other = make_listeners(TRACKS, 6, seed=5)
    assert list(make_events(other[2], TRACKS, 40, "a")) != list(make_events(first[2], TRACKS, 40, "a"))


def test_tastes_cover_every_genre_with_one_or_two_each() -> None:
    listeners = make_listeners(TRACKS, 30, seed=1)
    assert {listener.genres[0] for listener in listeners} == set(GENRES)
    assert {len(listener.genres) for listener in listeners} == {1, 2}
    assert all(len(set(listener.genres)) == len(listener.genres) for listener in listeners)


def test_most_plays_are_of_the_preferred_genres() -> None:
    genres = {track.track_id: set(track.genres) for track in TRACKS}
    home = plays = 0
    for listener in make_listeners(TRACKS, 12, seed=2):
        for event in make_events(listener, TRACKS, 300, "a"):
            if event["type"] == "play":
                plays += 1
                home += bool(genres[event["track_id"]] & set(listener.genres))
    assert plays == 12 * 300
    # 3,600 draws: four standard deviations are 0.024
    assert abs(home / plays - FAITHFUL_SHARE) < 0.024


def test_every_event_is_accepted_by_the_intake_and_numbered_without_a_gap() -> None:
    [listener] = make_listeners(TRACKS, 1, seed=3)
    events = list(make_events(listener, TRACKS, 90, "a"))
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    for start in range(0, len(events), 100):
        assert len(prepare(events[start : start + 100])) == len(events[start : start + 100])


def test_all_plays_are_shared_out_and_no_request_is_too_large() -> None:
    listeners = make_listeners(TRACKS, 7, seed=1)
    demo = Demo("http://127.0.0.1", 7, 100, 10.0, 1, run="a")
    lots = list(turns(demo, TRACKS, listeners))
    assert sum(event["type"] == "play" for _, lot in lots for event in lot) == 100
    assert all(1 <= len(lot) <= 10 for _, lot in lots)


def test_another_run_is_the_same_music_in_another_session() -> None:
    [listener] = make_listeners(TRACKS, 1, seed=1)
    first, second = (list(make_events(listener, TRACKS, 20, run)) for run in ("a", "b"))
    assert [e["track_id"] for e in first] == [e["track_id"] for e in second]
    assert {e["session"] for e in first}.isdisjoint({e["session"] for e in second})


def test_a_track_without_a_length_gets_one() -> None:
    track = read_track({"track_id": 3, "genres": [], "track_ms": None})
    assert (track.track_id, track.genres, track.track_ms) == (3, (), 30_000)
