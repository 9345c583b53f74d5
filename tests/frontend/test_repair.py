"""What a worker that was paused while sending leaves in the topic, and several web processes make of it."""

import asyncio
from typing import Any

from schemas.recommendations import Recommendations, decode_recommendations
from schemas.topics import RECOMMENDATIONS
from tests.frontend.servers import Server, publish, serving
from tests.worlds import records_of


async def test_an_older_list_that_comes_after_a_newer_one_is_not_the_last_of_its_user(
    web: Server, listener: Any
) -> None:
    """Two processes repair it, and not for ever; a third one, started later, serves the newer list."""
    user, other = await listener(web), await listener(web)
    user_id, other_id = await user.user_id(), await other.user_id()
    with serving(web.settings) as second:
        second.wait_for("/readyz", 200)
        await publish(web.settings, user_id, [10, 5])
        await publish(web.settings, other_id, [1, 2, 3])
        found = await _until_last(web, user_id, 10)
        await asyncio.sleep(4.0)  # longer than any process waits before it repairs
        later = await _lists_of(web, user_id)
        await publish(web.settings, user_id, [11, 9, 12])
        await asyncio.sleep(4.0)
        last = await _lists_of(web, user_id)
    with serving(web.settings) as third:
        third.wait_for("/readyz", 200)
        _, shown = await user.call("GET", "recommendations")
        user.server = third
        _, shown_later = await user.call("GET", "recommendations")

    assert found[-1] == found[0], "the same list, with all that it holds"
    assert 1 <= len(later) - 2 <= 2, "once for each process at most"
    assert [one.offset for one in later[2:]] == [10] * (len(later) - 2)
    since = [one.offset for one in last[len(later) :]]
    assert set(since[:-1]) == {11, 9}
    assert since[-1] == 12, "nothing follows one that is newer than all before"
    assert len(await _lists_of(web, other_id)) == 3
    assert shown["offset"] == shown_later["offset"] == 12


async def _lists_of(web: Server, user_id: str) -> list[Recommendations]:
    records = await records_of(web.settings, RECOMMENDATIONS)
    return [decode_recommendations(value) for key, value in records if key == user_id.encode() and value]


async def _until_last(web: Server, user_id: str, offset: int) -> list[Recommendations]:
    async with asyncio.timeout(30):
        while True:
            found = await _lists_of(web, user_id)
            if found[-1].offset == offset:
                return found
            await asyncio.sleep(0.1)
