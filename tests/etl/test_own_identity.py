"""Which file is which track: known answers, and properties over arbitrary collections."""

import string
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from etl.ids import foreign_id
from etl.own_identity import Assignment, How, Known, Label, Placed, Present, by_bytes
from etl.own_likeness import Sound, by_sound, doubtful, same_sound

UNKNOWN = Label("Title", None, None, False)


def label(title: str, artist: str | None = "Artist", album: str | None = "Album", *, tagged=True) -> Label:
    return Label(title, artist, album, tagged)


def known(path: str, sha256: str, names: Label = UNKNOWN, key: str | None = None) -> Known:
    return Known(foreign_id("own", key or sha256), key or sha256, path, sha256, names)


def decide(
    present: Sequence[Present],
    tracks: Sequence[Known],
    sounds: dict[str, Sound] | None = None,
    old: dict[int, Sound] | None = None,
    untouched: Sequence[int] = (),
) -> Assignment:
    return by_sound(by_bytes(present, tracks, untouched), sounds or {}, old or {})


def hows(assignment: Assignment) -> dict[str, How]:
    return {each.path: each.how for each in assignment.placed}


def sound(length_ms: int, *features: float) -> Sound:
    return Sound(length_ms, np.array(features) if features else None)


def test_a_new_file_is_a_track_named_by_its_bytes() -> None:
    found = decide([Present("/m/a.mp3", "aa", UNKNOWN)], [])
    assert found.placed == [Placed("/m/a.mp3", foreign_id("own", "aa"), "aa", How.ADDED)]


def test_a_moved_file_stays_its_track() -> None:
    track = known("/m/a.mp3", "aa")
    found = decide([Present("/m/b/c.mp3", "aa", label("Other"))], [track])
    assert found.placed == [Placed("/m/b/c.mp3", track.track_id, "aa", How.MOVED)]
    assert found.lost == []


def test_two_files_that_changed_places_are_both_followed() -> None:
    one, two = known("/m/1", "aa"), known("/m/2", "bb")
    found = decide([Present("/m/1", "bb", UNKNOWN), Present("/m/2", "aa", UNKNOWN)], [one, two])
    assert {(each.path, each.track_id) for each in found.placed} == {
        ("/m/2", one.track_id),
        ("/m/1", two.track_id),
    }


def test_of_equal_files_the_known_one_counts_else_the_first_by_path() -> None:
    files = [Present(f"/m/{name}", "aa", UNKNOWN) for name in "cab"]
    new = decide(files, [])
    assert hows(new) == {"/m/a": How.ADDED}
    assert new.copies == {"/m/b": "/m/a", "/m/c": "/m/a"}
    again = decide(files, [known("/m/b", "aa")])
    assert hows(again) == {"/m/b": How.KEPT}
    assert again.copies == {"/m/a": "/m/b", "/m/c": "/m/b"}


def test_the_copy_takes_the_place_of_a_file_that_went() -> None:
    track = known("/m/a", "aa")
    found = decide([Present("/m/z", "aa", UNKNOWN)], [track])
    assert found.placed == [Placed("/m/z", track.track_id, "aa", How.MOVED)]


@pytest.mark.parametrize(
    ("names", "length_ms", "same"),
    [
        (label("Title"), 900_000, True),  # equal tags
        (label("TITLE", "ARTIST", "ALBUM"), None, True),  # without regard to case
        (label("Other"), 181_900, True),  # other tags, length within 2 s
        (label("Other"), 182_100, False),
        (label("Other"), None, False),  # cannot be decoded
        (label("Title", tagged=False), 900_000, False),  # equal names that stand in no file say nothing
    ],
)
def test_other_bytes_at_the_same_path(names: Label, length_ms: int | None, same: bool) -> None:
    track = known("/m/a", "aa", label("Title"))
    sounds = {"/m/a": sound(length_ms)} if length_ms is not None else {}
    found = decide([Present("/m/a", "bb", names)], [track], sounds, {track.track_id: sound(180_000)})
    if same:
        assert found.placed == [Placed("/m/a", track.track_id, "aa", How.ENCODED_ANEW)]
    else:
        assert found.placed == [Placed("/m/a", foreign_id("own", "bb"), "bb", How.ADDED)]
        assert found.lost == [track]


@pytest.mark.parametrize(
    ("names", "length_ms", "same"),
    [
        (label("title", "artist", "album"), 181_900, True),
        (label("Title", tagged=False), 178_100, True),  # named by its folders
        (label("Title"), 182_100, False),
        (label("Title", album="Live"), 180_000, False),
        (label("Title"), None, False),
        (label("Title", artist=None), 180_000, False),
    ],
)
def test_other_bytes_elsewhere(names: Label, length_ms: int | None, same: bool) -> None:
    track = known("/m/a.flac", "aa", label("Title", names.artist))
    sounds = {"/n/a.mp3": sound(length_ms)} if length_ms is not None else {}
    found = decide([Present("/n/a.mp3", "bb", names)], [track], sounds, {track.track_id: sound(180_000)})
    assert hows(found) == {"/n/a.mp3": How.ENCODED_ANEW if same else How.ADDED}
    assert (found.placed[0].track_id == track.track_id) is same


def test_what_sounds_the_same_is_the_same_whatever_its_path_and_tags() -> None:
    track = known("/m/a", "aa", label("Title"))
    old = {track.track_id: sound(180_000, 1.0, -300.0, 0.0)}
    same, other = sound(180_010, 1.0001, -300.01, 1e-5), sound(180_000, 1.0, -305.0, 0.0)
    present = [Present("/m/1", "bb", label("Another")), Present("/m/2", "cc", label("Renamed"))]
    found = decide(present, [track], {"/m/1": other, "/m/2": same}, old)
    assert hows(found) == {"/m/2": How.RETAGGED, "/m/1": How.ADDED}


def test_a_file_at_the_path_of_a_track_that_went_elsewhere_is_new() -> None:
    track = known("/m/a", "aa", label("Title"))
    present = [Present("/m/a", "bb", label("Title")), Present("/m/b", "aa", label("Title"))]
    found = decide(present, [track], {"/m/a": sound(180_000)}, {track.track_id: sound(180_000)})
    assert hows(found) == {"/m/b": How.MOVED, "/m/a": How.ADDED}


def test_an_older_state_that_is_put_back_is_the_same_track() -> None:
    track = known("/m/a", "newer", key="first")
    found = decide([Present("/m/a", "first", UNKNOWN)], [track])
    assert found.placed == [Placed("/m/a", track.track_id, "first", How.RETAGGED)]


def test_an_older_state_beside_the_newest_is_a_copy() -> None:
    track = known("/m/a", "newer", key="first")
    found = decide([Present("/m/0", "first", UNKNOWN), Present("/m/a", "newer", UNKNOWN)], [track])
    assert (hows(found), found.copies) == ({"/m/a": How.KEPT}, {"/m/0": "/m/a"})


def test_a_track_elsewhere_keeps_its_file_and_an_equal_one_is_a_copy() -> None:
    track = known("/elsewhere/a", "aa")
    found = decide([Present("/m/a", "aa", UNKNOWN)], [track], untouched=[track.track_id])
    assert (hows(found), found.copies) == ({"/elsewhere/a": How.KEPT}, {"/m/a": "/elsewhere/a"})


def test_the_pair_with_the_least_difference_in_length_goes_first() -> None:
    tracks = [known(f"/m/{n}", f"a{n}", label("Intro")) for n in range(3)]
    old = {track.track_id: sound(60_000 + 1_000 * n) for n, track in enumerate(tracks)}
    present = [Present(f"/n/{n}", f"b{n}", label("Intro")) for n in range(3)]
    sounds = {f"/n/{n}": sound(60_010 + 1_000 * n) for n in range(3)}
    found = decide(present, tracks, sounds, old)
    assert {each.path: each.track_id for each in found.placed} == {
        f"/n/{n}": tracks[n].track_id for n in range(3)
    }


def test_only_files_that_may_be_a_lost_track_are_decoded() -> None:
    track = known("/m/a", "aa", label("Title"))
    old = {track.track_id: sound(180_000)}
    present = [
        Present("/m/a", "1", label("x"), 5_000),
        Present("/n/names", "2", label("TITLE"), 5_000),
        Present("/n/length", "3", label("x"), 178_500),
        Present("/n/silent-header", "4", label("x"), None),
        Present("/n/other", "5", label("x"), 60_000),
    ]
    assert set(doubtful(by_bytes(present, [track], []), old)) == {
        "/m/a",
        "/n/names",
        "/n/length",
        "/n/silent-header",
    }
    assert doubtful(by_bytes(present, [], []), {}) == []


def test_sounds_are_compared_by_length_and_by_all_features() -> None:
    assert same_sound(sound(1_000, 1.0, 2.0), sound(1_040, 1.0, 2.0))
    assert not same_sound(sound(1_000, 1.0, 2.0), sound(1_060, 1.0, 2.0))
    assert not same_sound(sound(1_000, 1.0, 2.0), sound(1_000, 1.0))
    assert not same_sound(sound(1_000), sound(1_000))
    assert not same_sound(Sound(None, np.ones(2)), sound(1_000, 1.0, 1.0))


PATHS = st.sampled_from([f"/m/{letter}" for letter in string.ascii_lowercase[:8]])
SHAS = st.sampled_from([f"{n:02x}" for n in range(10)])
LABELS = st.builds(
    Label,
    st.sampled_from(["One", "ONE", "Two"]),
    st.sampled_from([None, "X", "Y"]),
    st.sampled_from([None, "A"]),
    st.booleans(),
)
SOUNDS = st.builds(
    Sound,
    st.sampled_from([None, 10_000, 10_040, 11_500, 60_000]),
    st.sampled_from([None, np.array([1.0, 2.0]), np.array([5.0, 2.0])]),
)
PRESENT = st.lists(
    st.builds(Present, PATHS, SHAS, LABELS, st.sampled_from([None, 10_000, 60_000])),
    unique_by=lambda each: each.path,
    max_size=8,
)
KNOWN = st.lists(
    st.tuples(SHAS, SHAS, PATHS, LABELS), unique_by=(lambda each: each[0], lambda each: each[1]), max_size=8
).map(lambda rows: [known(path, newest, names, key) for key, newest, path, names in rows])


@st.composite
def collections(draw):
    present, tracks = draw(PRESENT), draw(KNOWN)
    untouched = {t.track_id for t in tracks if t.path.endswith(("g", "h")) and draw(st.booleans())}
    untouched = {t.track_id for t in {t.path: t for t in tracks if t.track_id in untouched}.values()}
    present = [p for p in present if p.path not in {t.path for t in tracks if t.track_id in untouched}]
    sounds = {each.path: draw(SOUNDS) for each in present}
    old = {each.track_id: draw(SOUNDS) for each in tracks}
    return present, tracks, sounds, old, untouched


@given(collections())
def test_every_file_is_placed_or_a_copy_and_no_track_or_content_is_given_twice(collection) -> None:
    present, tracks, _, _, untouched = collection
    found = decide(*collection)
    placed = [each.path for each in found.placed]
    ids = [each.track_id for each in found.placed]
    there = {each.path for each in present} | {t.path for t in tracks if t.track_id in untouched}
    assert len(set(placed)) == len(placed)
    assert len(set(ids)) == len(ids)
    assert set(placed) | set(found.copies) == there
    assert not set(placed) & set(found.copies)
    assert set(found.copies.values()) <= set(placed)
    # each track is placed or lost, and none appears that was not there unless it is named by new bytes
    before = {each.track_id for each in tracks}
    assert {each.track_id for each in found.lost} == before - set(ids)
    for each in found.placed:
        assert (each.track_id in before) == (each.how != How.ADDED)
        assert each.track_id == foreign_id("own", each.key)


@given(collections(), st.randoms(use_true_random=False))
def test_the_outcome_does_not_depend_on_the_order(collection, random) -> None:
    present, tracks, sounds, old, untouched = collection
    first = decide(*collection)
    present, tracks = random.sample(present, len(present)), random.sample(tracks, len(tracks))
    again = decide(present, tracks, sounds, old, untouched)
    assert sorted(again.placed, key=str) == sorted(first.placed, key=str)
    assert again.copies == first.copies
    assert again.lost == first.lost or {t.track_id for t in again.lost} == {t.track_id for t in first.lost}


@given(collections())
def test_a_second_run_over_the_same_files_keeps_everything(collection) -> None:
    present, tracks, sounds, old, untouched = collection
    first = decide(*collection)
    files = {each.path: each for each in present}
    files |= {t.path: Present(t.path, t.sha256, t.label) for t in tracks if t.track_id in untouched}
    after = [
        Known(each.track_id, each.key, each.path, files[each.path].sha256, files[each.path].label)
        for each in first.placed
    ]
    again = decide(present, after + first.lost, sounds, old, untouched)
    assert set(hows(again).values()) <= {How.KEPT}
    assert {(each.path, each.track_id) for each in again.placed} == {
        (each.path, each.track_id) for each in first.placed
    }
    assert again.copies == first.copies


@given(st.permutations(range(8)), st.data())
def test_however_files_move_they_stay_their_tracks(targets, data) -> None:
    tracks = [known(f"/m/{n}", f"{n:02x}", data.draw(LABELS)) for n in range(8)]
    moved = [Present(f"/m/{target}", tracks[n].sha256, UNKNOWN) for n, target in enumerate(targets)]
    found = decide(moved, tracks)
    ids = {each.path: each.track_id for each in found.placed}
    assert ids == {f"/m/{target}": tracks[n].track_id for n, target in enumerate(targets)}
    assert found.lost == []
