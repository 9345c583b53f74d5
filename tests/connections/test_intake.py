"""The one way into the log."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connections.event_log import LogReader
from connections.intake import MAX_EVENTS, RejectedEvent, accept, prepare
from connections.log_topics import ensure_topics
from connections.log_writer import LogWriter
from schemas import events
from schemas.errors import MalformedEvent
from schemas.settings import Settings

NOW_MS = 1_780_000_000_000


def play(**more: Any) -> dict[str, Any]:
    return {
        "type": "play",
        "session": "s",
        "seq": 1,
        "track_id": 7,
        "listened_ms": 1000,
        "track_ms": 3000,
        "end_reason": "stopped",
        "client_time": NOW_MS - 5,
    } | more


def test_an_event_gets_the_time_of_the_server_and_keeps_that_of_the_client() -> None:
    [event] = prepare([play()], now_ms=NOW_MS)

    assert isinstance(event, events.Play)
    assert (event.server_time_ms, event.client_time_ms) == (NOW_MS, NOW_MS - 5)


@pytest.mark.parametrize(
    ("client_time", "expected_ms"),
    [
        ("2026-05-01T10:00:00Z", 1_777_629_600_000),
        ("2026-05-01T12:00:00.250+02:00", 1_777_629_600_250),
        ("2026-05-01T10:00:00", 1_777_629_600_000),
        (NOW_MS + 60_000, NOW_MS),
        (0, 0),
    ],
)
def test_a_client_time_is_iso_8601_or_milliseconds_and_never_in_the_future(
    client_time: str | int, expected_ms: int
) -> None:
    [event] = prepare([play(client_time=client_time)], now_ms=NOW_MS)

    assert event.client_time_ms == expected_ms


def test_without_a_client_time_the_server_time_stands() -> None:
    fields = play()
    del fields["client_time"]

    assert prepare([fields], now_ms=NOW_MS)[0].client_time_ms == NOW_MS


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        (play(type="jump"), "type"),
        (play(type="barrier"), "type"),
        (play(type=["play"]), "type"),
        (play(track_id=0), "track_id"),
        (play(track_id="7"), "track_id"),
        (play(track_id=2**53), "track_id"),
        (play(listened_ms=-1), "listened_ms"),
        (play(end_reason="bored"), "end_reason"),
        (play(session="a b"), "session"),
        (play(session="s" * 65), "session"),
        (play(seq=1.5), "seq"),
        (play(seq=True), "seq"),
        (play(client_time="yesterday"), "client_time"),
        (play(client_time=-1), "client_time"),
        (play(client_time=True), "client_time"),
        (play(client_time=float("nan")), "client_time"),
        ({"type": "like", "session": "s", "seq": 1}, "track_id"),
        ({"type": "hide", "session": "s", "seq": 1}, "track_id"),
        ({"type": "hide", "session": "s", "seq": 1, "track_id": 1, "artist_id": 1}, "track_id"),
        ({"type": "forget", "session": "s", "seq": 1, "scope": "span"}, "scope"),
        ({"type": "taste_start", "session": "s", "seq": 1, "genres": [""]}, "genres[0]"),
        (play(source={"rail": "x", "position": -1}), "source.position"),
    ],
)
def test_a_bad_field_is_named_with_the_index_of_its_event(fields: dict[str, Any], field: str) -> None:
    with pytest.raises(RejectedEvent) as caught:
        prepare([play(), fields], now_ms=NOW_MS)

    assert (caught.value.index, caught.value.field) == (1, field)
    assert str(caught.value).startswith(f"events[1].{field}")


def test_a_client_cannot_set_version_user_or_server_time() -> None:
    [event] = prepare([play(v=9, user_id="x", server_time_ms=1)], now_ms=NOW_MS)

    assert (event.v, event.server_time_ms) == (events.SCHEMA_VERSION, NOW_MS)
    assert b"user_id" not in events.encode(event)


def test_an_oversized_event_is_refused() -> None:
    # Every field is within its own range; together they are too much.
    fields = {"type": "taste_start", "session": "s" * 64, "seq": 2**53 - 1}
    chosen = {"genres": ["\u0001" * 128] * 20, "track_ids": [2**53 - 1] * 50}

    with pytest.raises(RejectedEvent, match="16384"):
        prepare([fields | chosen], now_ms=NOW_MS)


@pytest.mark.parametrize("count", [0, MAX_EVENTS + 1])
def test_a_request_holds_1_to_100_events(count: int) -> None:
    with pytest.raises(MalformedEvent, match="1 to 100"):
        prepare([play()] * count, now_ms=NOW_MS)


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(st.sampled_from(sorted(play())), _json)
def test_whatever_a_client_sends_is_an_event_of_the_log_or_malformed(name: str, value: Any) -> None:
    try:
        [event] = prepare([play(**{name: value})], now_ms=NOW_MS)
    except MalformedEvent:
        return

    assert events.decode(events.encode(event)) == event


@given(_json)
def test_what_is_not_an_event_is_malformed(value: Any) -> None:
    with pytest.raises(MalformedEvent):
        prepare([value], now_ms=NOW_MS)


async def test_accepted_events_stand_in_the_log_in_order_under_the_users_key(settings: Settings) -> None:
    await ensure_topics(settings)
    user_id = "0" * 32
    async with LogWriter(settings) as writer:
        count = await accept(writer, user_id, prepare([play(seq=n) for n in range(5)], now_ms=NOW_MS))

    async with LogReader(settings) as reader:
        ends = await reader.end_offsets()
        [partition] = [number for number, end in ends.items() if end > 1]
        records = [record async for part in reader.read(partition, 1, ends[partition]) for record in part]
    assert count == 5
    assert [events.decode(record.value).seq for record in records] == list(range(5))  # type: ignore[union-attr]
    assert {record.key for record in records} == {user_id.encode()}
