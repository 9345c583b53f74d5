"""Events over HTTP: all or none, and nothing in another user's name."""

from typing import Any

import pytest

from connections.event_log import LogReader
from schemas import events
from tests.frontend.servers import Listener, Server


def like(seq: int, **more: Any) -> dict[str, Any]:
    return {"type": "like", "session": "s", "seq": seq, "track_id": 1, **more}


async def logged(user: Listener) -> list[events.UserEvent]:
    """Return the user's events in the log."""
    key = (await user.user_id()).encode()
    found: list[events.UserEvent] = []
    async with LogReader(user.server.settings) as reader:
        for partition, end in (await reader.end_offsets()).items():
            async for records in reader.read(partition, 1, end):
                found += [events.decode(record.value) for record in records if record.key == key]  # type: ignore[misc]
    return found


async def test_accepted_events_stand_in_the_log_under_the_users_own_id(web: Server, listener: Any) -> None:
    user, other = await listener(web), await listener(web)
    body = {"events": [like(1, user_id=await other.user_id()), like(2)]}

    answer = await user.call("POST", "events", json=body)

    assert answer == (202, {"accepted": 2})
    assert [event.seq for event in await logged(user)] == [1, 2]
    assert await logged(other) == []


async def test_one_malformed_event_refuses_all(web: Server, listener: Any) -> None:
    user = await listener(web)

    status, problem = await user.call("POST", "events", json={"events": [like(1), like(2, track_id=-1)]})

    assert status == 400
    assert (problem["index"], problem["field"]) == (1, "track_id")
    assert await logged(user) == []


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"{}", b'{"events": {}}', b'{"events": []}', b'{"events": [1]}', b'{"events": [null]}',
     b'{"events": [' + b"[" * 5000 + b"]" * 5000 + b"]}", b"\xff\xfe", b'{"events": [{"type": "\\ud800"}]}'],
)  # fmt: skip
async def test_a_body_that_holds_no_events_is_malformed(web: Server, listener: Any, body: bytes) -> None:
    user = await listener(web)

    status, problem = await user.call(
        "POST", "events", data=body, headers={"Content-Type": "application/json"}
    )

    assert (status, problem["status"]) == (400, 400)


async def test_more_than_a_hundred_events_and_more_than_64_kilobytes_are_refused(
    web: Server, listener: Any
) -> None:
    user = await listener(web)
    many = await user.call("POST", "events", json={"events": [like(n) for n in range(101)]})
    large = await user.call("POST", "events", json={"events": [like(1, note="x" * 70_000)]})
    hundred = await user.call("POST", "events", json={"events": [like(n) for n in range(100)]})

    assert (many[0], large[0], hundred) == (400, 413, (202, {"accepted": 100}))


async def test_the_history_of_a_new_user_is_empty(web: Server, listener: Any) -> None:
    user = await listener(web)

    assert await user.call("GET", "history") == (
        200,
        {"events": [], "next_cursor": None, "next_before_ms": None},
    )
    assert await user.call("GET", "likes") == (200, {"track_ids": []})
    assert (await user.call("GET", "history?limit=0"))[0] == 400
