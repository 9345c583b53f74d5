import json
from pathlib import Path

import jsonschema
import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from recommender.partition import PartitionState
from recommender.windows import Outcome
from schemas import events
from schemas.errors import MalformedEvent
from tests.builders import NOW_MS, event, generation, imported, like, play, user_id

_EVERY = [
    play(source=events.Source(rail="made-for-you", position=3, model_id="m")),
    like(),
    event(events.Unlike, track_id=1),
    event(events.Hide, artist_id=2),
    event(events.Unhide, track_id=1),
    event(events.Less, track_id=1),
    event(events.TasteStart, genres=["Jazz"], track_ids=[1, 2]),
    imported(last_time_ms=5),
    event(events.Forget, scope="events", events=[("s", 1)]),
    generation(),
    events.Barrier(snapshot_id="s", server_time_ms=NOW_MS),
    events.Activate(model_id="m", seq=1, server_time_ms=NOW_MS),
]


@pytest.mark.parametrize("one", _EVERY, ids=lambda one: type(one).__name__)
def test_every_event_comes_back_from_its_bytes_and_fits_the_exported_schema(one: events.Event) -> None:
    data = events.encode(one)

    assert events.decode(data) == one
    jsonschema.validate(json.loads(data), events.json_schema())


def test_the_exported_schema_stands_in_the_docs() -> None:
    stored = json.loads(Path("docs/events.schema.json").read_text())

    assert stored == events.json_schema(), "write it anew: make schema"


@pytest.mark.parametrize(
    "change",
    [
        {"track_id": 0},
        {"track_id": 2**53},
        {"track_id": 1.5},
        {"track_id": True},
        {"listened_ms": -1},
        {"end_reason": "bored"},
        {"session": ""},
        {"session": "x" * 65},
        {"seq": -1},
        {"server_time_ms": events.MAX_TIME_MS + 1},
        {"v": 2},
        {"v": 0},
        {"type": "unknown"},
    ],
)
def test_a_field_outside_its_range_is_malformed(change: dict[str, object]) -> None:
    fields = json.loads(events.encode(play())) | change

    with pytest.raises(MalformedEvent, match="not a valid event"):
        events.decode(json.dumps(fields).encode())


@given(st.binary(max_size=300))
def test_no_bytes_raise_anything_but_malformed(data: bytes) -> None:
    with pytest.raises(MalformedEvent):
        events.decode(data)


@pytest.mark.parametrize("data", [None, b"", b"[" * 10_000, b"{" + b" " * 20_000 + b"}"])
def test_missing_deep_and_oversized_values_are_malformed(data: bytes | None) -> None:
    with pytest.raises(MalformedEvent):
        events.decode(data)


_FIELDS = st.sampled_from([*msgspec.to_builtins(play()), "more"])
_VALUES = st.one_of(
    st.sampled_from([None, True, -1, 0, 1, 2, 1.5, 2**53, "like", "play", "skipped", "a b", "a\n"]),
    st.text(st.characters(max_codepoint=0x24F), max_size=70),
    st.just("x" * events.MAX_EVENT_BYTES),
)  # fmt: skip


@given(
    st.sampled_from(_EVERY[:2]),
    st.dictionaries(_FIELDS, _VALUES, max_size=2),
    st.sets(_FIELDS, max_size=1),
    st.integers(0, 300),
)
@example(_EVERY[0], {"type": "like"}, set(), 0)
@example(_EVERY[0], {"session": "a\n"}, set(), 0)
@example(_EVERY[0], {"session": "a b"}, set(), 0)
@example(_EVERY[0], {}, {"type"}, 0)
@example(_EVERY[0], {"more": "x" * events.MAX_EVENT_BYTES}, set(), 0)
def test_the_sooner_decoding_takes_exactly_the_plays_that_decoding_takes(
    one: events.Event, change: dict[str, object], gone: set[str], cut: int
) -> None:
    fields = {
        name: value for name, value in {**msgspec.to_builtins(one), **change}.items() if name not in gone
    }
    data = json.dumps(fields).encode()[: None if cut > 200 else -cut or None]
    try:
        expected = events.decode(data)
    except MalformedEvent:
        expected = None

    found = events.decode_play(data)

    if type(expected) is events.Play:
        assert msgspec.to_builtins(found) == msgspec.to_builtins(expected)
    else:
        assert found is None


def test_hide_names_a_track_or_an_artist_but_not_both() -> None:
    fields = json.loads(events.encode(event(events.Hide, artist_id=2))) | {"track_id": 1}

    with pytest.raises(MalformedEvent, match="not both"):
        events.decode(json.dumps(fields).encode())


@pytest.fixture
def old_like(monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    """Return a like of two versions ago: the track was called otherwise, then the session was not named."""
    upcasts = {
        -1: lambda f: {**f, "track_id": f.pop("track")},
        0: lambda f: {"session": "old", **f},
    }
    monkeypatch.setattr(events, "UPCASTS", upcasts)
    old = json.loads(events.encode(like(7)))
    old["track"] = old.pop("track_id")
    del old["session"]
    return old


def test_an_older_version_that_lacks_what_this_one_demands_is_cast_up_step_by_step(
    old_like: dict[str, object],
) -> None:
    first = {**old_like, "v": -1}
    assert events.decode(json.dumps(first).encode()) == msgspec.structs.replace(like(7), session="old")
    second = {**json.loads(events.encode(like(7))), "v": 0}
    del second["session"]
    assert events.decode(json.dumps(second).encode()) == msgspec.structs.replace(like(7), session="old")


def test_an_old_event_is_folded_as_its_cast_up_one(old_like: dict[str, object]) -> None:
    old = json.dumps({**old_like, "v": -1}).encode()
    now = events.encode(msgspec.structs.replace(like(7), session="old"))
    states = []
    for value in (old, now):
        state = PartitionState(0)
        begun = (0, None, events.encode(generation()))
        folded = state.fold([begun, (1, user_id(1).encode(), value)])
        assert [one.outcome for one in folded] == [Outcome.CONTROL, Outcome.APPLIED]
        states.append(state.digest())
    assert states[0] == states[1]


@pytest.mark.parametrize("changes", [{"v": -2}, {"v": "0"}, {"v": 0, "track_id": None}, {"v": 2}])
def test_what_cannot_be_cast_up_is_malformed(old_like: dict[str, object], changes: dict[str, object]) -> None:
    with pytest.raises(MalformedEvent):
        events.decode(json.dumps({**old_like, **changes}).encode())
    with pytest.raises(MalformedEvent, match="older version"):
        events.decode(b'{"type":"like","v":-1}')


@pytest.mark.parametrize("key", [None, b"", b"A" * 32, b"0" * 31, b"\xff" * 32])
def test_a_key_that_is_no_user_id_is_malformed(key: bytes | None) -> None:
    with pytest.raises(MalformedEvent, match="user id"):
        events.decode_user_id(key)
