"""The page in a real browser: register, listen, see the list change, by keyboard and on a narrow screen."""

import shutil
import uuid
from collections.abc import AsyncIterator
from typing import Any

import pytest
from playwright.async_api import Page, async_playwright, expect

from connections.documents import open_documents
from connections.event_log import LogReader
from frontend.routes.pages import DIST
from schemas import events
from schemas.recommendations import Item, Rail, Reason
from tests.builders import NOW_MS, play
from tests.frontend.servers import PASSWORD, Listener, Server, publish
from tests.frontend.test_history import archive

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


RAILS = [
    Rail(
        kind="because",
        track_id=1,
        items=[
            Item(track_id=3, score=0.9, reasons=[Reason(kind="similar", track_id=1)]),
            Item(track_id=4, score=0.8, reasons=[Reason(kind="audio", track_id=1)]),
        ],
    ),
    Rail(kind="discovery", items=[Item(track_id=5, score=0.1, propensity=0.5)]),
]


async def test_rails_stand_beside_the_list_and_a_play_names_its_rail(web: Server, page: Page) -> None:
    user = await register(page, web)
    user_id = await user.user_id()
    await publish(web.settings, user_id, {1: [2]}, rails=RAILS)
    await expect(page.get_by_role("heading", level=2)).to_have_text(
        ["Because you played “Dawn”", "Discovery"]
    )
    because = page.get_by_role("region", name="Because you played “Dawn”")
    await expect(because.locator(".title")).to_have_text(["Åska", "Paper Kites"])
    await expect(because.locator(".reason")).to_have_text(["by its sound"])

    await because.get_by_role("button", name="Play Paper Kites").focus()
    await page.keyboard.press("l")
    await page.keyboard.press("Enter")
    await expect(page.locator(".player .title")).to_have_text("Paper Kites")
    await page.keyboard.press("l")  # the row with the focus is the playing one: the like is taken back
    await expect(page.locator(".player.empty")).to_be_visible(timeout=15_000)

    found = {event.seq: event for event in await logged(web, user_id, 3)}
    like, unlike, play = (found[seq] for seq in sorted(found)[:3])
    assert (like.track_id, unlike.track_id, play.track_id) == (4, 4, 4)
    assert (play.source.rail, play.source.position, play.source.model_id) == ("because", 1, "m" * 64)


async def test_rails_follow_the_newest_list_and_outlive_a_brief_one(web: Server, page: Page) -> None:
    user = await register(page, web)
    user_id = await user.user_id()
    await publish(web.settings, user_id, {1: [2]}, rails=RAILS)
    await expect(page.locator(".rail .title")).to_have_text(["Åska", "Paper Kites", "North Window"])

    await publish(web.settings, user_id, {2: [3]}, brief=True)
    await expect(page.locator(".made .title")).to_have_text(["Åska"])
    await expect(page.locator(".rail .title")).to_have_text(["Paper Kites", "North Window"])
    await expect(page.locator("details.updated summary")).to_contain_text("you liked Dawn,")

    await publish(
        web.settings, user_id, {2: [3]}, rails=[Rail(kind="rediscover", items=[Item(track_id=6, score=1.0)])]
    )
    await expect(page.get_by_role("heading", level=2)).to_have_text(["Rediscover"])
    await expect(page.locator(".rail .title")).to_have_text(["Slow Engine"])
    await expect(page.locator("details.updated summary")).to_contain_text("you liked Dawn,")


@pytest.mark.parametrize("width", [400, 1400])
async def test_rails_fit_the_screen_and_words_at_the_top_lead_to_them(
    web: Server, page: Page, width: int
) -> None:
    user = await register(page, web)
    await page.set_viewport_size({"width": width, "height": 700})
    many = [Item(track_id=track_id, score=0.5) for track_id in (3, 4, 5, 6, 90)]
    await publish(
        web.settings,
        await user.user_id(),
        {1: [2, 7, 1]},
        rails=[Rail(kind="because", track_id=2, items=many)],
    )
    await expect(page.locator(".rail .tile")).to_have_count(5)

    assert await page.evaluate("document.documentElement.scrollWidth") <= width
    jumps = page.get_by_role("navigation", name="On this page")
    await expect(jumps).to_be_visible(visible=width < 1000)
    if width < 1000:
        await jumps.get_by_role("button").click()
        await expect(page.get_by_role("heading", level=2)).to_be_focused()
        heading = await page.get_by_role("heading", level=2).bounding_box()
        header = await page.locator("header.top").bounding_box()
        assert heading is not None
        assert header is not None
        assert heading["y"] >= header["y"] + header["height"] - 1


async def test_a_track_has_a_page_with_more_like_it(web: Server, page: Page) -> None:
    await register(page, web)
    await page.locator(".row", has_text="Åska").get_by_role("link", name="Åska").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Åska")
    await expect(page.get_by_role("heading", level=2)).to_have_text("More like this")
    await page.go_back()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Popular here while Segue learns")
    await page.goto(f"{web.url}/#/track/999999")
    await expect(page.get_by_role("alert")).to_contain_text("there is no track 999999")


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


async def test_the_history_shows_more_when_asked(web: Server, page: Page) -> None:
    user_id = await (await register(page, web)).user_id()
    async with open_documents(web.settings) as database:
        some = [play(at % 6 + 1, seq=at, server_time_ms=NOW_MS + at) for at in range(120)]
        await archive(database, user_id, some)
    await page.goto(f"{web.url}/#/history")
    await expect(page.locator(".entry")).to_have_count(50)

    more = page.get_by_role("button", name="Show more")
    await more.click()
    await expect(page.locator(".entry")).to_have_count(100)
    await more.click()

    await expect(page.locator(".entry")).to_have_count(120)
    await expect(more).to_have_count(0)
    await page.get_by_role("button", name="Refresh").click()
    await expect(page.locator(".entry")).to_have_count(50)


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
    for screen in ("home", "charts", "search", "history", "track/1"):
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
