"""The page in a real browser: register, listen, see the list change, by keyboard and on a narrow screen."""

import shutil
import uuid
from collections.abc import AsyncIterator
from typing import Any

import pytest
from playwright.async_api import Page, async_playwright, expect

from connections.event_log import LogReader
from frontend.routes.pages import DIST
from schemas import events
from tests.frontend.servers import PASSWORD, Listener, Server, publish

ARGUMENTS = [
    "--no-sandbox", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--autoplay-policy=no-user-gesture-required",
]  # fmt: skip
pytestmark = pytest.mark.browser


@pytest.fixture
async def page() -> AsyncIterator[Page]:
    """Return a page of headless Chromium that reports every script error."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if not (DIST / "index.html").is_file():
        pytest.skip("the browser client is not built: run `make setup`")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        context = await browser.new_context(viewport={"width": 1200, "height": 800}, color_scheme="light")
        opened = await context.new_page()
        errors: list[str] = []
        opened.on("pageerror", lambda error: errors.append(str(error)))
        opened.on("console", lambda said: errors.append(said.text) if said.type == "error" else None)
        yield opened
        await browser.close()
        assert [error for error in errors if "Failed to load resource" not in error] == []


async def register(page: Page, web: Server) -> Listener:
    user = Listener(None, web, f"user-{uuid.uuid4().hex[:10]}")  # type: ignore[arg-type]
    await page.goto(web.url)
    await page.get_by_role("button", name="Create an account").click()
    await page.get_by_label("User name").fill(user.name)
    await page.get_by_label("Password").fill(PASSWORD)
    await page.keyboard.press("Enter")
    await expect(page.locator(".link[data-link=live]")).to_be_visible()
    return user


async def logged(web: Server, user_id: str, count: int) -> list[Any]:
    """Return the user's events in the log once there are ``count``."""
    found: list[Any] = []
    for _ in range(50):
        found = []
        async with LogReader(web.settings) as reader:
            for partition, end in (await reader.end_offsets()).items():
                async for records in reader.read(partition, 1, end):
                    found += [events.decode(r.value) for r in records if r.key == user_id.encode()]
        if len(found) >= count:
            break
    return found


async def test_a_new_listener_sees_the_list_change_and_why(web: Server, page: Page) -> None:
    user = await register(page, web)
    await expect(page.get_by_role("heading", level=1)).to_have_text("Popular here while Segue learns")

    await publish(web.settings, await user.user_id(), {11: [3, 2, 7]})

    await expect(page.get_by_role("heading", level=1)).to_have_text("Made for you")
    await expect(page.locator("details.updated summary")).to_contain_text("Updated after you liked Dawn,")
    await expect(page.locator(".row .title")).to_have_text(["Åska", "Tide", "<img src=x onerror=alert(1)>"])
    await expect(page.locator(".row").first.locator(".reason summary")).to_have_text(
        "because you played “Dawn”"
    )
    await expect(page.locator("[aria-live=polite].heard-only")).to_contain_text("Made for you: ")
    silent = page.locator(".row").nth(2)
    await expect(silent.get_by_role("button", name="Play")).to_have_count(0)
    await expect(silent).to_contain_text("no sound here")
    await page.locator("details.updated summary").click()
    await expect(page.locator("details.updated dd").first).to_contain_text("ms")


async def test_a_played_track_sounds_and_its_end_and_a_like_reach_the_log(web: Server, page: Page) -> None:
    user = await register(page, web)
    user_id = await user.user_id()
    await publish(web.settings, user_id, {1: [2, 3]})
    await expect(page.locator(".row")).to_have_count(2)

    await page.keyboard.press("Space")
    await expect(page.locator(".player")).to_have_attribute("data-status", "playing")
    await expect(page.locator(".player .title")).to_have_text("Tide")
    await page.keyboard.press("l")
    await expect(page.locator(".player .heart")).to_have_attribute("aria-pressed", "true")
    await expect(page.locator(".player .title")).to_have_text("Åska", timeout=15_000)
    await page.keyboard.press("h")
    await expect(page.locator(".unsaved")).to_have_text("")

    found = {event.seq: event for event in await logged(web, user_id, 3)}
    like, play, hide = (found[seq] for seq in sorted(found)[:3])
    assert (like.track_id, play.track_id, play.end_reason) == (2, 2, "finished")
    assert 2_000 <= play.listened_ms <= 3_200
    assert (play.source.rail, play.source.position) == ("made-for-you", 0)
    assert isinstance(hide, events.Hide)
    assert hide.track_id == 3


async def test_events_wait_in_the_page_while_the_server_does_not_take_them(web: Server, page: Page) -> None:
    user = await register(page, web)
    await page.route("**/api/v1/events", lambda route: route.abort())
    await page.locator(".row .heart").first.click()
    await page.locator(".row .heart").nth(1).click()
    await expect(page.locator(".unsaved")).to_have_text("not saved yet: 2")
    await page.reload()
    await expect(page.locator(".unsaved")).to_have_text("not saved yet: 2")

    await page.unroute("**/api/v1/events")

    await expect(page.locator(".unsaved")).to_have_text("", timeout=15_000)
    # The page may have sent them once more while it was left: same session and seq, so one effect.
    found = await logged(web, await user.user_id(), 2)
    assert {event.seq for event in found} == {1, 2}
    assert len({event.session for event in found}) == 1


async def test_everything_is_reached_by_keyboard(web: Server, page: Page) -> None:
    await register(page, web)
    await page.keyboard.press("/")
    await expect(page.locator("#q")).to_be_focused()
    await page.keyboard.type("paper")
    await expect(page.locator(".row .title")).to_have_text(["Paper Kites"])
    await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")
    await expect(page.locator(".player .title")).to_have_text("Paper Kites")
    await page.keyboard.press("Escape")
    await page.keyboard.press("?")
    await expect(page.get_by_role("dialog")).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("dialog")).to_be_hidden()


async def test_two_tabs_of_a_browser_share_one_stream(web: Server, page: Page) -> None:
    user = await register(page, web)
    second = await page.context.new_page()
    await second.goto(web.url)
    await expect(second.locator(".link[data-link=live]")).to_be_visible()
    await publish(web.settings, await user.user_id(), {21: [4]})
    await expect(second.locator(".row .title")).to_have_text(["Paper Kites"])
    await expect(page.locator(".row .title")).to_have_text(["Paper Kites"])

    await page.close()
    await publish(web.settings, await user.user_id(), {22: [5]})

    await expect(second.locator(".row .title")).to_have_text(["North Window"], timeout=10_000)


async def test_a_hostile_title_is_shown_as_text(web: Server, page: Page) -> None:
    await register(page, web)

    await expect(page.locator(".row img")).to_have_count(0)
    await expect(page.locator(".row .title", has_text="<img src=x")).to_have_count(1)


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_the_page_fits_a_narrow_screen_and_follows_the_colour_scheme(
    web: Server, page: Page, scheme: Any
) -> None:
    await register(page, web)
    await page.emulate_media(color_scheme=scheme)
    await page.locator(".row .art").first.click()
    await page.set_viewport_size({"width": 320, "height": 640})
    for screen in ("home", "charts", "search", "history"):
        await page.goto(f"{web.url}/#/{screen}")
        await expect(page.locator("main h1")).to_be_visible()
        assert await page.evaluate("document.documentElement.scrollWidth") <= 320

    background = await page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (sum(int(part) for part in background[4:-1].split(",")) < 200) == (scheme == "dark")


async def test_logging_out_ends_the_session_of_the_page(web: Server, page: Page) -> None:
    await register(page, web)
    await page.get_by_role("button", name="Log out").click()
    await expect(page.get_by_role("button", name="Log in")).to_be_visible()
    await page.reload()
    await expect(page.get_by_role("button", name="Log in")).to_be_visible()
