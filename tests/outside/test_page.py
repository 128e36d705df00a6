"""The live page in a real browser: seen, pressed with mouse and keyboard, read aloud, and left alone by strangers."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import pytest

from fathom.web.control import State
from tests.cli.test_up_demo import Demo, demo, serving
from tests.outside.browsing import PHONE, WIDE, browsing, opened_at, page_of

if TYPE_CHECKING:
    from playwright.async_api import Browser, Page

pytestmark = pytest.mark.outside
CACHE = "article[data-slot='part.cache']"
KILL, HEAL = "button[aria-label='kill cache (redis)']", "button[aria-label='heal cache (redis)']"
SHOWN_S, HEALED_S = 1.0, 5.0


async def opened(browser: Browser, it: Demo, **context: Any) -> Page:
    """Open the page in a window of its own; whatever goes wrong in it fails the test when it ends."""
    return await opened_at(browser, it.told["page"], pytest.fail, **context)


async def state_becomes(page: Page, state: str, within_s: float) -> None:
    await page.wait_for_selector(f"{CACHE}[data-state={state}]", timeout=1_000 * within_s)


async def test_a_kill_pressed_on_one_page_shows_on_all_within_a_second_and_heals_within_five(tmp_path: Path):
    async with demo(tmp_path) as it, browsing() as browser:
        pages = [await opened(browser, it) for _ in range(3)]
        for page in pages:
            await state_becomes(page, "up", 10)
        await pages[0].click(KILL)
        began = time.monotonic()
        await asyncio.gather(*(state_becomes(page, "down", SHOWN_S) for page in pages))
        shown_s = time.monotonic() - began
        await asyncio.gather(*(state_becomes(page, "up", HEALED_S) for page in pages))
        healed_s = time.monotonic() - began
        for page in pages:
            text = await page.inner_text(".marks")
            assert "kill cache" in text and "cache is back" in text
        print(f"shown on {len(pages)} pages after {shown_s:.2f} s, healed after {healed_s:.2f} s")


async def test_everything_can_be_done_from_the_keyboard(tmp_path: Path):
    async with demo(tmp_path) as it, browsing() as browser:
        page = await opened(browser, it)
        await tab_to(page, KILL)
        await page.keyboard.press("Enter")
        await it.until(lambda s: cache(s) == "down")
        await page.wait_for_selector(f"{HEAL}:not([disabled])")
        await tab_to(page, HEAL)
        await page.keyboard.press("Enter")
        await it.until(lambda s: cache(s) == "up")
        await tab_to(page, "section[aria-labelledby=q-fanout] button[value=on-read]")
        await page.keyboard.press("Space")
        await it.until(lambda s: serving(s, "fanout") == "on-read")
        await tab_to(page, "#factor")
        await page.keyboard.press("End")
        await it.until(lambda s: s.load == 10)


async def tab_to(page: Page, selector: str) -> None:
    """Go there with the Tab key, seeing all the way where one is."""
    for _ in range(80):
        await page.keyboard.press("Tab")
        if await page.evaluate("s => document.activeElement?.matches(s)", selector):
            outline = await page.evaluate("() => getComputedStyle(document.activeElement).outlineStyle")
            assert outline != "none", "whoever has no mouse must see where they are"
            return
    raise AssertionError(f"the Tab key does not lead to {selector}")


def cache(state: State) -> str:
    return next(part.state for part in state.parts if part.name == "cache")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [WIDE, PHONE], ids=["wide", "phone"])
async def test_axe_finds_nothing_and_nothing_is_cut_off(tmp_path: Path, scheme: Any, viewport: Any):
    from axe_playwright_python.async_playwright import Axe

    async with demo(tmp_path) as it, browsing() as browser:
        page = await opened(browser, it, color_scheme=scheme, viewport=viewport, bypass_csp=True)
        await state_becomes(page, "up", 10)
        for _ in range(2):
            found = (await Axe().run(page)).response["violations"]
            assert not found, [(it["id"], it["impact"], it["nodes"][0]["target"]) for it in found]
            await page.click(KILL)  # and once more with something broken
            await state_becomes(page, "down", 5)
        assert await page.evaluate("document.documentElement.scrollWidth") <= viewport["width"]


async def test_the_page_asks_nobody_but_its_own_system(tmp_path: Path):
    async with demo(tmp_path) as it, browsing() as browser:
        page = await (await browser.new_context(viewport=WIDE)).new_page()
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        await page.goto(it.told["page"])
        await state_becomes(page, "up", 10)
        assert asked and all(url.startswith(it.page) for url in asked)


async def test_it_works_without_a_script(tmp_path: Path):
    async with demo(tmp_path) as it, browsing() as browser:
        page = await opened(browser, it, java_script_enabled=False)
        await page.click(KILL)
        await page.wait_for_selector(f"{CACHE}[data-state=down]")
        await page.click("section[aria-labelledby=q-fanout] button[value=on-write]")
        await page.wait_for_selector("button[value=on-write][aria-pressed=true]")


EVIL = """<form id=f method=post action="{page}/harm">{fields}</form><script>
const press = {{method: "POST", credentials: "include", mode: "no-cors", body: new URLSearchParams({body})}};
fetch("{page}/harm", press).then(() => 0, () => 0).then(() => document.getElementById("f").submit());
</script>"""


async def test_a_page_of_another_origin_cannot_press_its_buttons(tmp_path: Path):
    fields = {"part": "cache", "what": "kill", "lasts": "60"}

    async with demo(tmp_path) as it, browsing() as browser:
        inputs = "".join(f'<input name="{name}" value="{value}">' for name, value in fields.items())
        evil = EVIL.format(page=it.page, fields=inputs, body=urlencode(fields).join('""')).encode()
        async with page_of(evil) as elsewhere:
            page = await opened(browser, it)  # the victim is logged in, in this very window
            pressed: list[int] = []
            page.on("response", lambda answer: pressed.append(answer.status) if answer.url.endswith("/harm") else None)
            async with page.expect_response(lambda answer: answer.request.is_navigation_request()
                                            and answer.url == f"{it.page}/harm"):  # fmt: skip
                await page.goto(elsewhere, wait_until="commit")
            await page.wait_for_load_state()
            assert pressed and set(pressed) <= {401, 403}
            told = await page.inner_text("body")
            assert "nothing was done" in told or "needs its key" in told
        state = await it.until(lambda s: True)
        assert cache(state) == "up" and not [mark for mark in state.marks if mark.kind == "harm"]
