"""Charts overall and by genre: over HTTP, and on the page in a real browser."""

import asyncio
from collections.abc import Iterator
from typing import Any

import aiohttp
import pytest
from playwright.async_api import Page, expect
from pymongo import MongoClient

from schemas.documents import CHARTS, GENRES
from tests.conftest import fresh_world
from tests.frontend.servers import Server, make_world, serving
from tests.frontend.test_browser import page, register

__all__ = ["page"]
PUBLISHED = {
    "_id": "c1",
    "created_ms": 1_780_000_000_000,
    "from_ms": 1_777_000_000_000,
    "items": [{"track_id": track, "count": count} for track, count in ((2, 2**40), (3, 2), (99, 1), (1, 1))],
    "genres": [
        {"genre": "Drone", "parent": "Tone", "track_ids": [3], "counts": [2]},
        {"genre": "Tone", "parent": None, "track_ids": [2, 3, 1], "counts": [2**40, 2, 1]},
    ],
}


@pytest.fixture(scope="module")
def charted(embedded: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Serve a world with charts."""
    settings = fresh_world(embedded, tmp_path_factory.mktemp("charted"))
    asyncio.run(make_world(settings))
    client: MongoClient[dict[str, Any]] = MongoClient(settings.mongodb_address)
    with client:
        database = client[settings.mongodb_database]
        database[CHARTS.name].insert_one(PUBLISHED)
        titles = {1: "Tone", 2: "Drone", 3: "Hum"}
        database[GENRES.name].insert_many([{"_id": at, "title": title} for at, title in titles.items()])
    with serving(settings) as server:
        server.wait_for("/readyz", 200)
        yield server


async def test_charts_of_a_genre_stand_beside_the_overall_ones_under_one_id(
    charted: Server, http: aiohttp.ClientSession, listener: Any
) -> None:
    user = await listener(charted)

    _, overall = await user.call("GET", "charts")
    _, tone = await user.call("GET", "charts?genre=TONE&limit=2")
    _, hum = await user.call("GET", "charts?genre=hum")
    unknown, problem = await user.call("GET", "charts?genre=polka")

    assert [(item["track_id"], item["count"]) for item in overall["items"]] == [(2, 2**40), (3, 2), (1, 1)]
    assert [(item["track_id"], item["count"]) for item in tone["items"]] == [(2, 2**40), (3, 2)]
    assert (overall["genre"], tone["genre"], hum["genre"], hum["items"]) == (None, "Tone", "Hum", [])
    assert {(one["charts_id"], one["from_ms"]) for one in (overall, tone, hum)} == {("c1", 1_777_000_000_000)}
    assert overall["genres"] == [{"genre": "Drone", "parent": "Tone"}, {"genre": "Tone", "parent": None}]
    assert (unknown, problem["detail"][:27]) == (404, "there is no genre 'polka': ")


@pytest.mark.browser
async def test_the_page_offers_the_charts_of_each_genre(charted: Server, page: Page) -> None:
    await register(page, charted)
    await page.goto(f"{charted.url}/#/charts")
    await expect(page.locator(".row .title")).to_have_text(["Tide", "Åska", "Dawn"])
    await expect(page.locator(".row").nth(2)).to_contain_text("1 listener")
    genre = page.get_by_label("Genre")
    await expect(genre.locator("option")).to_have_text(["All genres", "Tone", "Drone"])

    await genre.select_option("Drone")

    await expect(page.locator(".row .title")).to_have_text(["Åska"])
    await expect(genre).to_have_value("Drone")
    await genre.select_option("")
    await expect(page.locator(".row .title")).to_have_count(3)
