"""The history page by page: complete, in order, the user's own, and found by an index."""

import base64
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any

import pytest

from connections.documents import Database, ensure_indexes, open_documents
from frontend.history import History, Place
from schemas import events
from schemas.documents import ARCHIVE
from schemas.settings import Settings
from tests.builders import NOW_MS, like, play, skip, user_id
from tests.frontend.servers import Listener, Server

MakeListener = Callable[[Server], Awaitable[Listener]]
_offsets = itertools.count(1_000)


def archived(user: str, event: events.UserEvent, offset: int) -> dict[str, Any]:
    """Return the document that the worker writes."""
    return {
        "_id": f"g/3/{offset}",
        "user_id": user,
        "partition": 3,
        "offset": offset,
        "type": str(type(event).__struct_config__.tag),
        "track_id": getattr(event, "track_id", None),
        "server_time_ms": event.server_time_ms,
        "listen": isinstance(event, events.Play),
        "event": events.encode(event),
    }


async def archive(database: Database, user: str, some: Sequence[events.UserEvent]) -> list[int]:
    """Archive events of a user; return their offsets, in the order in which they were given."""
    documents = [archived(user, event, next(_offsets)) for event in some]
    await database[ARCHIVE.name].insert_many(documents)
    return [document["offset"] for document in documents]


@pytest.fixture
async def database(web: Server) -> AsyncIterator[Database]:
    async with open_documents(web.settings) as opened:
        yield opened


async def walked(user: Listener, limit: int) -> list[list[int]]:
    """Return the offsets on each page, from the first to the last."""
    pages, cursor = [], ""
    for _ in range(100):
        status, page = await user.call("GET", f"history?limit={limit}{cursor}")
        assert status == 200
        pages.append([event["offset"] for event in page["events"]])
        if page["next_cursor"] is None:
            return pages
        cursor = f"&cursor={page['next_cursor']}"
    raise AssertionError("the pages do not end")


async def test_pages_hold_every_event_once_newest_first_also_of_one_millisecond(
    web: Server, listener: MakeListener, database: Database
) -> None:
    user, other = await listener(web), await listener(web)
    times = [NOW_MS + at // 4 for at in range(11)]  # four events in each millisecond
    offsets = await archive(
        database,
        await user.user_id(),
        [play(1, seq=at, server_time_ms=time) for at, time in enumerate(times)],
    )
    await archive(database, await other.user_id(), [like(2)])

    pages = await walked(user, 3)

    assert [len(page) for page in pages] == [3, 3, 3, 2]
    assert [offset for page in pages for offset in page] == offsets[::-1]
    assert await walked(user, 11) == [offsets[::-1]]  # a full page that is the last one says so


async def test_events_that_come_meanwhile_move_no_later_page(
    web: Server, listener: MakeListener, database: Database
) -> None:
    user = await listener(web)
    offsets = await archive(database, await user.user_id(), [play(1, seq=at) for at in range(6)])
    _, first = await user.call("GET", "history?limit=3")
    await archive(database, await user.user_id(), [skip(2, seq=9, server_time_ms=NOW_MS + 5)])

    _, second = await user.call("GET", f"history?limit=3&cursor={first['next_cursor']}")

    assert [event["offset"] for event in second["events"]] == offsets[2::-1]
    assert second["next_cursor"] is None


async def test_a_cursor_leads_through_the_own_history_only(
    web: Server, listener: MakeListener, database: Database
) -> None:
    user, other = await listener(web), await listener(web)
    await archive(database, await user.user_id(), [play(1, seq=at) for at in range(4)])
    mine = await archive(database, await other.user_id(), [play(1, seq=1, server_time_ms=NOW_MS - 1)])
    _, first = await user.call("GET", "history?limit=2")

    _, seen = await other.call("GET", f"history?cursor={first['next_cursor']}")

    assert [event["offset"] for event in seen["events"]] == mine


@pytest.mark.parametrize(
    "cursor",
    [
        "", "x", "AAAA", "%00", "ä", "7", Place(NOW_MS, 3).cursor + "=", Place(NOW_MS, 3).cursor[:-1],
        "A" * 23, "A" * 10_000, base64.urlsafe_b64encode(b"\x01" + b"\xff" * 16).decode()[:23],
    ],
)  # fmt: skip
async def test_a_cursor_that_is_not_ours_is_refused(web: Server, visitor: Listener, cursor: str) -> None:
    status, problem = await visitor.call("GET", "history", params={"cursor": cursor})

    assert (status, problem["field"]) == (400, "cursor")


async def test_cursor_and_time_together_are_refused(web: Server, visitor: Listener) -> None:
    asked = {"cursor": Place(NOW_MS, 3).cursor, "before_ms": str(NOW_MS)}

    assert (await visitor.call("GET", "history", params=asked))[0] == 400


def test_a_place_survives_its_cursor() -> None:
    for place in (Place(0, 0), Place(NOW_MS, 7), Place(2**63 - 1, 2**63 - 1)):
        assert Place.read(place.cursor) == place


async def test_every_page_walks_an_index_in_its_order(settings: Settings) -> None:
    async with open_documents(settings) as database:
        await ensure_indexes(database)
        documents = [
            archived(user_id(number % 50), play(1, seq=number, server_time_ms=NOW_MS + number // 3), number)
            for number in range(5_000)
        ]
        await database[ARCHIVE.name].insert_many(documents)
        history = History(database)
        plans = [
            await history.query(user_id(1), 21).explain(),
            await history.query(user_id(1), 21, after=Place(NOW_MS + 900, 2_701)).explain(),
            await history.query(user_id(1), 21, before_ms=NOW_MS + 900).explain(),
        ]
        await database.client.drop_database(settings.mongodb_database)

    for plan in plans:
        assert {"COLLSCAN", "SORT"} & stages(plan["queryPlanner"]["winningPlan"]) == set()
        assert plan["executionStats"]["nReturned"] == 21
        assert plan["executionStats"]["totalKeysExamined"] <= 21 + 3
        assert plan["executionStats"]["totalDocsExamined"] <= 21 + 3


def stages(plan: dict[str, Any]) -> set[str]:
    """Return the names of all stages of a plan."""
    found = {plan["stage"]} if "stage" in plan else set()
    for part in plan.values():
        for each in part if isinstance(part, list) else [part]:
            if isinstance(each, dict):
                found |= stages(each)
    return found
