"""The report's page in a real browser: it asks for nothing, runs nothing, and fits a telephone."""

import shutil
from pathlib import Path

import pytest
from playwright.async_api import async_playwright

from connections.documents import open_documents
from etl import report
from schemas.settings import Settings
from tests.etl.catalogues import track, vectors, write_features, write_tracks

pytestmark = pytest.mark.browser
LONG = "W" * 300
BAD = "<script>document.title = 'caught'</script><img src=https://example.org/x onerror=alert(1)>"


async def write_page(settings: Settings, path: Path) -> None:
    tracks = [
        track(
            n,
            genres=[BAD if n % 2 else LONG, "Rock"],
            licence=LONG,
            licence_url=f"https://example.org/{LONG}",
        )
        for n in range(1, 41)
    ]
    raw = vectors(40)
    async with open_documents(settings) as database:
        await write_tracks(database, tracks, source=LONG)
        await write_features(database, {n: raw[n - 1] for n in range(1, 41)})
        await database["rejected_tracks"].insert_one({"_id": f"test:{LONG}", "reason": f"{BAD}: {LONG}"})
        told = {"report": {LONG: {"a": LONG, "b": [{"x": BAD, LONG: 1}]}}, "created_ms": 1, "seconds": 1.0}
        await database["etl_reports"].insert_one({"_id": "1", "command": LONG, "source": LONG, **told})
        await report.run(database, path)


async def test_the_page_asks_for_nothing_and_fits_narrow_and_wide_screens(
    settings: Settings, tmp_path: Path
) -> None:
    page_file = tmp_path / "page.html"
    await write_page(settings, page_file)
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        said: list[str] = []
        asked: list[str] = []
        inks = []
        for width, scheme in ((400, "dark"), (1400, "light")):
            context = await browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
            page = await context.new_page()
            page.on("console", lambda message: said.append(message.text))
            page.on("pageerror", lambda error: said.append(str(error)))
            page.on("request", lambda request: asked.append(request.url))
            await page.goto(page_file.as_uri())
            assert await page.title() == f"Catalogue {LONG}: 40 tracks (Segue)"
            # neither the page nor, but where it scrolls by itself, anything in it is wider than the screen
            assert await page.evaluate("document.documentElement.scrollWidth") == width
            assert await page.locator("figure svg").count() == 6
            for box in [await each.bounding_box() for each in await page.locator("figure svg").all()]:
                assert box is not None
                assert box["width"] > 0.6 * min(width, 500)
                assert box["x"] >= 0
                assert box["x"] + box["width"] <= width
            inks.append(await page.locator("svg text").first.evaluate("each => getComputedStyle(each).fill"))
            await context.close()
        await browser.close()
    assert said == []
    assert asked == [page_file.as_uri()] * 2
    assert inks == ["rgb(169, 167, 182)", "rgb(93, 90, 104)"]
