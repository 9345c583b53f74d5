import json
from pathlib import Path

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import events
from schemas.errors import MalformedEvent
from tests.builders import NOW_MS, event, generation, imported, like, play

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


def test_hide_names_a_track_or_an_artist_but_not_both() -> None:
    fields = json.loads(events.encode(event(events.Hide, artist_id=2))) | {"track_id": 1}

    with pytest.raises(MalformedEvent, match="not both"):
        events.decode(json.dumps(fields).encode())


def test_an_older_version_is_cast_up_step_by_step(monkeypatch: pytest.MonkeyPatch) -> None:
    old = json.loads(events.encode(like(7)))
    old["track"] = old.pop("track_id")
    monkeypatch.setattr(events, "UPCASTS", {0: lambda f: {**f, "track_id": f["track"]}})

    upcast = events._upcast(json.dumps(old | {"v": 0}).encode())

    assert upcast == like(7)


@pytest.mark.parametrize("key", [None, b"", b"A" * 32, b"0" * 31, b"\xff" * 32])
def test_a_key_that_is_no_user_id_is_malformed(key: bytes | None) -> None:
    with pytest.raises(MalformedEvent, match="user id"):
        events.decode_user_id(key)
