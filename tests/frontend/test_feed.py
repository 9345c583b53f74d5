"""Lists on their way from the topic to one user's streams."""

import asyncio
from typing import Any

import aiohttp
import msgspec

from connections.event_log import LogReader
from schemas.recommendations import Impression, Item, Rail, Reason
from schemas.topics import IMPRESSIONS
from tests.frontend.servers import TITLES, Server, publish


async def test_a_new_user_gets_a_list_that_names_no_model(web: Server, listener: Any) -> None:
    user = await listener(web)

    status, shown = await user.call("GET", "recommendations")

    assert status == 200
    assert (shown["model_id"], shown["partition"], shown["offset"], shown["cause"]) == (
        None,
        None,
        None,
        None,
    )
    assert {item["title"] for item in shown["items"]} >= set(TITLES)
    assert {reason["kind"] for item in shown["items"] for reason in item["reasons"]} == {"popular"}


async def test_a_list_of_the_topic_reaches_the_stream_with_titles_and_hop_times(
    web: Server, listener: Any
) -> None:
    user = await listener(web)
    stream = user.messages()
    first = await anext(stream)
    await publish(web.settings, await user.user_id(), {41: [2, 7]})
    pushed = await anext(stream)
    await stream.aclose()

    assert (first["offset"], first["latency_ms"]) == (None, None)
    assert pushed["offset"] == 41
    assert pushed["id"].endswith(".3.41")
    assert [(item["track_id"], item["title"], item["playable"]) for item in pushed["items"]] == [
        (2, "Tide", True),
        (7, "<img src=x onerror=alert(1)>", False),
    ]
    assert pushed["cause"]["title"] == "Dawn"
    assert pushed["items"][0]["reasons"][0]["title"] == "Dawn"
    hops = pushed["timings"]
    assert hops["accepted_ms"] <= hops["folded_ms"] <= hops["ranked_ms"] <= hops["sent_ms"]
    assert pushed["latency_ms"] > 0
    assert (await user.call("GET", "recommendations"))[1]["offset"] == 41


async def test_rails_come_with_titles_and_what_was_shown_is_noted(web: Server, listener: Any) -> None:
    user = await listener(web)
    rails = [
        Rail(kind="because", track_id=1, items=[Item(track_id=3, score=0.9)]),
        Rail(kind="discovery", items=[Item(track_id=4, score=0.1, propensity=0.25)]),
    ]
    stream = user.messages()
    await anext(stream)
    await publish(web.settings, await user.user_id(), {5: [2, 7]}, rails=rails)
    shown = (await anext(stream))["rails"]
    await stream.aclose()

    assert [(rail["kind"], rail["track_id"], rail["title"], rail["artist"]) for rail in shown] == [
        ("because", 1, "Dawn", "Artist 1"),
        ("discovery", None, None, None),
    ]
    assert [rail["items"][0]["title"] for rail in shown] == ["Åska", "Paper Kites"]
    assert [rail["items"][0]["propensity"] for rail in shown] == [None, 0.25]
    assert (await user.call("GET", "recommendations"))[1]["rails"] == shown
    noted = await impression_of(web, await user.user_id(), offset=5)
    assert noted.track_ids == [2, 7]
    assert [(rail.kind, rail.track_id, rail.track_ids) for rail in noted.rails] == [
        ("because", 1, [3]),
        ("discovery", None, [4]),
    ]
    assert noted.propensities == {4: 0.25}


async def impression_of(web: Server, user_id: str, offset: int) -> Impression:
    """Return what was noted of a list once it was sent."""
    for _ in range(100):
        async with LogReader(web.settings, IMPRESSIONS) as reader:
            for partition, end in (await reader.end_offsets()).items():
                async for records in reader.read(partition, 0, end):
                    for record in records:
                        noted = msgspec.json.decode(record.value, type=Impression)
                        if record.key == user_id.encode() and noted.offset == offset:
                            return noted
        await asyncio.sleep(0.1)
    raise AssertionError("no impression in time")


async def test_a_brief_list_is_made_whole_once_and_is_no_new_answer(web: Server, listener: Any) -> None:
    user = await listener(web)
    user_id = await user.user_id()
    rails = [Rail(kind="rediscover", items=[Item(track_id=4, score=0.1)])]
    stream = user.messages()
    await anext(stream)
    await publish(web.settings, user_id, {8: [2]}, brief=True)
    brief = await anext(stream)
    await publish(web.settings, user_id, {8: [2]}, rails=rails)
    whole = await anext(stream)
    await publish(web.settings, user_id, {8: [3]}, brief=True)  # sent again after a crash
    await publish(web.settings, user_id, {9: [5]})
    last = await anext(stream)
    await stream.aclose()

    assert (brief["brief"], brief["rails"], brief["latency_ms"] is not None) == (True, [], True)
    assert (whole["brief"], len(whole["rails"]), whole["latency_ms"]) == (False, 1, None)
    assert (brief["offset"], whole["offset"], last["offset"]) == (8, 8, 9)
    assert brief["id"] != whole["id"]


async def test_an_older_list_never_replaces_a_newer_one(web: Server, listener: Any) -> None:
    user = await listener(web)
    user_id = await user.user_id()
    stream = user.messages()
    await anext(stream)
    await publish(web.settings, user_id, [7])
    first = (await anext(stream))["offset"]
    await publish(web.settings, user_id, [5, 7, 9])
    offsets = [first, (await anext(stream))["offset"]]
    await stream.aclose()

    assert offsets == [7, 9]


async def test_a_list_of_another_log_is_not_shown(web: Server, listener: Any) -> None:
    user = await listener(web)
    user_id = await user.user_id()
    await publish(web.settings, user_id, [99], generation="another log")
    await publish(web.settings, user_id, [3])
    stream = user.messages()
    while (shown := await anext(stream))["offset"] is None:
        pass
    await stream.aclose()

    assert shown["offset"] == 3


async def test_a_user_never_sees_the_list_of_another(web: Server, listener: Any) -> None:
    user, other = await listener(web), await listener(web)
    mine, theirs = user.messages(), other.messages()
    await anext(mine), await anext(theirs)
    await publish(web.settings, await other.user_id(), range(1, 20))
    await publish(web.settings, await user.user_id(), [500])
    received = (await anext(mine))["offset"]
    await mine.aclose()
    await theirs.aclose()

    assert received == 500
    assert (await user.call("GET", "recommendations"))[1]["offset"] == 500


async def test_a_client_that_comes_back_does_not_get_the_same_list_twice(web: Server, listener: Any) -> None:
    user = await listener(web)
    user_id = await user.user_id()
    await publish(web.settings, user_id, [1])
    stream = user.messages()
    while (held := await anext(stream))["offset"] is None:
        pass
    await stream.aclose()
    again = user.messages(**{"Last-Event-ID": held["id"]})
    waiting = asyncio.ensure_future(anext(again))
    await asyncio.sleep(0.2)
    await publish(web.settings, user_id, [2])
    received = (await waiting)["offset"]
    await again.aclose()

    assert received == 2


async def test_above_the_limit_of_streams_an_event_source_is_told_to_stay_away(
    web: Server, listener: Any, http: aiohttp.ClientSession
) -> None:
    user = await listener(web)
    limit = web.settings.streams_per_user
    streams = [user.messages() for _ in range(limit)]
    for stream in streams:
        await anext(stream)
    above = await user.call("GET", "feed")
    await streams[0].aclose()
    for _ in range(100):
        async with http.get(f"{web.url}/api/v1/feed", headers=user.headers) as response:
            free_again = response.status
        if free_again == 200:
            break
        await asyncio.sleep(0.02)
    for stream in streams[1:]:
        await stream.aclose()

    assert above[0] == 204
    assert free_again == 200


async def test_a_slow_client_gets_the_newest_list_and_not_all_of_them(web: Server, listener: Any) -> None:
    user = await listener(web)
    user_id = await user.user_id()
    large = [
        Item(track_id=track_id, score=1.0, reasons=[Reason(kind="popular", count=1)] * 5)
        for track_id in range(1, 201)
    ]
    stream = user.messages()
    await anext(stream)
    await publish(web.settings, user_id, range(1, 39), items=large)
    await publish(web.settings, user_id, [39])
    received = []
    while not received or received[-1] != 39:
        received.append((await anext(stream))["offset"])
    await stream.aclose()

    assert received == sorted(received)
