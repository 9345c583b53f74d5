"""The page about a judgement: what it tells, and how it behaves in a real browser."""

import re
import shutil
from pathlib import Path

import pytest
from markupsafe import Markup
from playwright.async_api import async_playwright

from connections.documents import open_documents
from connections.model_reports import MOST_BYTES, load_report, save_report
from schemas.errors import InvalidInput
from schemas.settings import Settings
from tests.training.judgements import evaluation, subject
from training.configuration import Split
from training.report_page import render, write_page
from training.report_svg import Row, intervals

BAD = "<script>document.title = 'caught'</script><img src=https://example.org/x onerror=alert(1)>"


def test_the_page_tells_each_figure_with_its_interval() -> None:
    one = subject()
    page = render(one)
    for side in one.evaluation["against"].values():
        figure = side["ndcg_at_10"]
        assert f"{figure['value']:.4f}<br>" in page
        assert f"{figure['low']:.4f} to {figure['high']:.4f}</span>" in page
    for part in one.evaluation["segments"]:
        assert f"{part['users']} users" in page
    assert "Why it was refused" not in page
    assert page == render(one)


def test_the_page_says_what_a_global_time_split_hides() -> None:
    figures = evaluation()
    figures["split"] |= {"kind": Split.GLOBAL, "moment_s": 1_700_000_000}
    assert "what happened after one moment" in render(subject(evaluation=figures))


def test_a_refused_model_says_why_and_nothing_in_a_name_becomes_markup() -> None:
    page = render(subject(state="refused", reason=f"worse {BAD}", snapshot_id=BAD))
    assert "Why it was refused" in page
    assert "<script" not in page
    assert "<img" not in page


def test_a_dot_stands_where_its_value_is_on_the_axis() -> None:
    drawn = intervals("x", "t", [Row("<a>", 0.5, 0.25, 1.0, 0), Row("b", 0.0, 0.0, 0.0, 1)])
    assert isinstance(drawn, Markup)
    assert "&lt;a&gt;" in drawn
    first, second = (float(x) for x in re.findall(r'circle cx="([\d.]+)"', drawn))
    ticks = [float(x) for x in re.findall(r'<line x1="([\d.]+)"', drawn)]
    assert second == min(ticks)
    assert first == pytest.approx((min(ticks) + max(ticks)) / 2, abs=0.01)


def test_a_figure_without_any_hit_is_drawn_all_the_same() -> None:
    drawn = intervals("x", "t", [Row("a", 0.0, 0.0, 0.0, 0)])
    assert re.findall(r'circle cx="([\d.]+)"', drawn) == re.findall(r'<line x1="([\d.]+)"', drawn)[:1]


def test_a_page_that_cannot_be_written_is_refused_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InvalidInput, match="cannot be written"):
        write_page(tmp_path / "file" / "page.html", "x")


async def test_a_stored_page_comes_back_and_a_missing_or_damaged_one_says_what_to_do(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = render(subject())
    async with open_documents(settings) as database:
        await save_report(database, "m1", "s-1", page)
        assert await load_report(database, "m1") == page
        stored = await database["model_reports"].find_one({"_id": "m1"})
        assert stored is not None
        assert len(stored["html"]) < MOST_BYTES / 100
        with pytest.raises(InvalidInput, match="no report is stored with model m2"):
            await load_report(database, "m2")
        await database["model_reports"].update_one({"_id": "m1"}, {"$set": {"html": b"x"}})
        with pytest.raises(InvalidInput, match="damaged"):
            await load_report(database, "m1")
        monkeypatch.setattr("connections.model_reports.MOST_BYTES", 10)
        with pytest.raises(InvalidInput, match="at most 10"):
            await save_report(database, "m1", "s-1", page)


@pytest.mark.browser
async def test_the_page_asks_for_nothing_and_fits_narrow_and_wide_screens(tmp_path: Path) -> None:
    file = tmp_path / "page.html"
    write_page(file, render(subject(state="refused", reason=f"{BAD} {'W' * 300}", snapshot_id="s" * 200)))
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    said: list[str] = []
    asked: list[str] = []
    inks = []
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for width, scheme in ((400, "dark"), (1400, "light")):
            context = await browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
            page = await context.new_page()
            page.on("console", lambda message: said.append(message.text))
            page.on("pageerror", lambda error: said.append(str(error)))
            page.on("request", lambda request: asked.append(request.url))
            await page.goto(file.as_uri())
            assert await page.title() == "Model abababababab: judgement (Segue)"
            assert await page.evaluate("document.documentElement.scrollWidth") == width
            for box in [await each.bounding_box() for each in await page.locator("figure svg").all()]:
                assert box is not None
                assert 0.6 * min(width, 500) < box["width"] <= width - box["x"]
            inks.append(await page.locator("svg text").first.evaluate("each => getComputedStyle(each).fill"))
            await context.close()
        await browser.close()
    assert said == []
    assert asked == [file.as_uri()] * 2
    assert inks == ["rgb(169, 167, 182)", "rgb(93, 90, 104)"]
