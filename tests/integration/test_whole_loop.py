"""`segue up` in an empty folder, and a listener in a real browser: all the parts, nothing replaced."""

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from playwright.async_api import Page, async_playwright, expect

from stack.ports import free_ports
from tests.frontend.test_browser import ARGUMENTS

_SEGUE = Path(sys.executable).with_name("segue")
_MODEL_WITHIN_S = 420.0
# the page's two audio elements are not in the document: note them as they are made, and listen to the first
_NOTE_AUDIO = """
const Real = window.Audio; window.heard = [];
window.Audio = function (...given) { const made = new Real(...given); window.heard.push(made); return made; };
"""
_LOUDEST = """async () => {
  const context = new AudioContext(), playing = window.heard.find((element) => !element.paused);
  const analyser = context.createAnalyser();
  context.createMediaElementSource(playing).connect(analyser).connect(context.destination);
  const samples = new Uint8Array(analyser.fftSize); let loudest = 0;
  for (let turn = 0; turn < 40; turn++) {
    await new Promise((resolve) => setTimeout(resolve, 50));
    analyser.getByteTimeDomainData(samples);
    loudest = Math.max(loudest, ...samples.map((sample) => Math.abs(sample - 128)));
  }
  return loudest;
}"""


@dataclass
class Stack:
    """A running `segue up`."""

    process: subprocess.Popen[bytes]
    environment: dict[str, str]
    url: str
    log: Path

    def segue(self, *arguments: str) -> dict[str, Any]:
        """Run a verb with --json and return what it printed."""
        ran = subprocess.run(
            [str(_SEGUE), *arguments, "--json"],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )
        assert ran.returncode == 0, ran.stderr[-2_000:]
        found: dict[str, Any] = json.loads(ran.stdout)
        return found


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    names = ("WEB", "WEB_METRICS", "WORKER_METRICS", "KAFKA", "KAFKA_CONTROLLER", "MONGODB")
    ports = {
        f"SEGUE_{name}_PORT": str(port) for name, port in zip(names, free_ports(len(names)), strict=True)
    }
    kept = {n: v for n, v in os.environ.items() if not n.startswith("SEGUE_") or n == "SEGUE_CACHE_DIR"}
    environment = {
        **kept,
        **ports,
        "SEGUE_DATA_DIR": str(tmp_path / "world"),
        "SEGUE_SESSION_TIMEOUT_S": "6",
    }
    log = tmp_path / "up.log"
    with log.open("wb") as out:
        process = subprocess.Popen([str(_SEGUE), "up"], env=environment, stdout=out, stderr=out)
    try:
        yield Stack(process, environment, f"http://127.0.0.1:{ports['SEGUE_WEB_PORT']}", log)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()


@pytest.fixture
async def page() -> AsyncIterator[Page]:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        opened = await (await browser.new_context()).new_page()
        await opened.add_init_script(_NOTE_AUDIO)
        yield opened
        await browser.close()


async def _until_ready(stack: Stack) -> None:
    async with aiohttp.ClientSession() as session:
        for _ in range(1_200):
            assert stack.process.poll() is None, stack.log.read_text()[-3_000:]
            try:
                async with session.get(f"{stack.url}/readyz") as response:
                    if response.status == 200:
                        return
            except aiohttp.ClientError:
                pass
            await asyncio.sleep(0.2)
    raise AssertionError(f"not ready: {stack.log.read_text()[-3_000:]}")


async def _until_model(stack: Stack) -> str:
    until = time.monotonic() + _MODEL_WITHIN_S
    while time.monotonic() < until:
        found = await asyncio.to_thread(stack.segue, "models", "list")
        served = [one["model_id"] for one in found["models"] if one["served"]]
        if served:
            return str(served[0])
        await asyncio.sleep(2)
    raise AssertionError(f"no model was published: {stack.log.read_text()[-3_000:]}")


async def _heading(page: Page, text: str) -> None:
    await expect(page.get_by_role("heading", level=1)).to_have_text(text, timeout=20_000)


@pytest.mark.slow
@pytest.mark.browser
@pytest.mark.timeout(900)
async def test_a_listener_plays_and_likes_and_the_list_follows(stack: Stack, page: Page) -> None:
    await _until_ready(stack)
    model_id = await _until_model(stack)

    await page.goto(stack.url)
    await page.get_by_role("button", name="Create an account").click()
    await page.get_by_label("User name").fill("listener")
    await page.get_by_label("Password").fill("a long password")
    await page.keyboard.press("Enter")
    await expect(page.locator(".link[data-link=live]")).to_be_visible(timeout=20_000)
    await _heading(page, "Popular here while Segue learns")
    before = await page.locator(".row .title").all_text_contents()

    # play: sound comes out
    row = page.locator(".row").first
    await row.get_by_role("button", name="Play").click()
    await expect(page.locator(".player")).to_have_attribute("data-status", "playing", timeout=20_000)
    assert await page.evaluate(_LOUDEST) > 3

    # like: the list of the model, with the cause and the reason in words
    await page.keyboard.press("l")
    await _heading(page, "Made for you")
    await expect(page.locator("details.updated summary")).to_contain_text("Updated after you liked")
    after = await page.locator(".row .title").all_text_contents()
    assert len(after) == len(before)
    assert after != before
    await expect(page.locator(".row .reason").first).not_to_be_empty()
    offset = int((await page.locator("details.updated").get_attribute("data-offset")) or "-1")

    # the same track again, skipped: a newer list
    await page.keyboard.press("j")
    await expect(page.locator("details.updated")).not_to_have_attribute(
        "data-offset", str(offset), timeout=20_000
    )

    listed = await page.evaluate("fetch('/api/v1/recommendations').then((answer) => answer.json())")
    assert listed["model_id"] == model_id
    assert listed["offset"] > offset
    counted = await asyncio.to_thread(stack.segue, "audit")
    assert (counted["lost"], counted["double"], counted["dead"]) == (0, 0, 0)
    assert counted["applied"] > 1_000

    stack.process.terminate()
    assert await asyncio.to_thread(stack.process.wait, 20) == 0
