"""The storefront in a real browser: two tickets bought on a phone, without a script, and read aloud."""

from __future__ import annotations

import io
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from PIL import Image, ImageDraw

from fathom.systems.shop.api import ConcertId, ItemId, Money, NewConcert, NewItem, User, UserId

from .browsing import PHONE, WIDE, browsing, opened_at, page_of
from .shop_door import shop_at

if TYPE_CHECKING:
    from playwright.async_api import Browser, Page

pytestmark = [pytest.mark.outside, pytest.mark.slow]

KEEPER = UserId(4_096)


class Open(NamedTuple):
    """A shop with a concert and a teapot, and a window."""

    url: str
    shop: Any
    stores: Any
    concert: ConcertId
    item: ItemId
    browser: Browser


@asynccontextmanager
async def opened() -> AsyncIterator[Open]:
    async with shop_at() as (url, shop, stores), browsing() as browser:
        await stores.accounts.bulk([User(id=KEEPER, email="keeper@example.org", staff=True)], 0)
        new = NewConcert(name="Brahms: A Requiem", price=Money(4_500, "EUR"), rows=8, seats=12,
                         starts_ms=1_900_000_000_000)  # fmt: skip
        concert = await shop.add_concert(KEEPER, new)
        says = "A pot that does not drip. Holds one litre, and keeps it warm for an hour."
        item = await shop.add_item(KEEPER, NewItem(name="Teapot", price=Money(1_250, "EUR"), category="tea",
                                                   description=says))  # fmt: skip
        await shop.receive(KEEPER, item.id, 3)
        await shop.add_picture(KEEPER, item.id, "front", teapot())
        await shop.hold(KEEPER, concert.id, ["A5", "A6", "C3"])
        await shop.settled()
        yield Open(url, shop, stores, concert.id, item.id, browser)


def teapot() -> bytes:
    picture = Image.new("RGB", (640, 400), (226, 214, 190))
    draw = ImageDraw.Draw(picture)
    draw.ellipse((180, 120, 460, 340), fill=(150, 60, 40))
    draw.rectangle((290, 90, 350, 130), fill=(120, 45, 30))
    written = io.BytesIO()
    picture.save(written, "png")
    return written.getvalue()


async def keep(page: Page, name: str) -> None:
    """Keep what is seen, where somebody asked for it: SHOTS=folder."""
    if folder := os.environ.get("SHOTS"):
        await page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)


async def comes_in(page: Page, email: str) -> None:
    await page.fill("input[name=email]", email)
    await page.fill("input[name=password]", "correct horse")
    await page.click("button[value=join]")


async def test_two_tickets_are_bought_on_a_phone_without_a_script():
    async with opened() as it:
        page = await opened_at(it.browser, it.url, pytest.fail, viewport=PHONE, java_script_enabled=False)
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        await keep(page, "front-phone")
        await page.click("text=Brahms: A Requiem")
        await page.click("text=Log in to order")
        await comes_in(page, "ann@example.org")
        await page.check("input[value=B4]")
        await page.check("input[value=B5]")
        await keep(page, "plan-phone")
        assert await page.is_disabled("input[value=A5]"), "what somebody holds cannot be chosen"
        await page.click("text=Order these seats")
        await keep(page, "order-phone")
        await page.click("text=Pay 90.00 EUR")
        await page.locator(".ticket").first.wait_for(timeout=10_000)  # the bank may take its time; the page looks again
        await keep(page, "tickets-phone")
        assert await page.locator(".ticket").count() == 2
        states = {seat.seat: seat.state for seat in await it.shop.seats(it.concert)}
        assert states["B4"] == states["B5"] == "sold"
        assert asked and all(url.startswith(it.url) for url in asked), "it asks nobody but its own shop"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [WIDE, PHONE], ids=["wide", "phone"])
async def test_axe_finds_nothing_and_nothing_is_cut_off(scheme: Any, viewport: Any):
    from axe_playwright_python.async_playwright import Axe

    async with opened() as it:
        page = await opened_at(it.browser, it.url, pytest.fail, viewport=viewport, color_scheme=scheme, bypass_csp=True)

        async def looks(name: str) -> None:
            await keep(page, f"{name}-{scheme}-{viewport['width']}")
            found = (await Axe().run(page)).response["violations"]
            assert not found, [(each["id"], each["impact"], each["nodes"][0]["target"]) for each in found]
            assert await page.evaluate("document.documentElement.scrollWidth") <= viewport["width"]

        await looks("front")
        await page.goto(f"{it.url}/items/{it.item}")
        await looks("item")
        await page.goto(f"{it.url}/enter")
        await looks("enter")
        await comes_in(page, f"{scheme}{viewport['width']}@example.org")
        await page.goto(f"{it.url}/items/{it.item}")
        await page.click("text=Put into the cart")
        await looks("cart")
        await page.goto(f"{it.url}/concerts/{it.concert}")
        await page.click("text=Order these seats")
        await looks("nothing-chosen")
        await page.check("input[value=D1]")
        await page.click("text=Order these seats")
        await looks("order")


async def test_tickets_are_bought_from_the_keyboard_and_a_page_elsewhere_orders_none():
    async with opened() as it:
        page = await opened_at(it.browser, f"{it.url}/enter?to=/concerts/{it.concert}", pytest.fail)
        await comes_in(page, "ann@example.org")
        await page.focus("input[value=B1]")
        await page.keyboard.press("Space")
        outline = await page.evaluate("getComputedStyle(document.activeElement.nextElementSibling).outlineStyle")
        assert outline != "none", "whoever has no mouse must see where they are"
        await page.keyboard.press("Enter")
        await page.wait_for_url("**/orders/*")
        evil = f"""<form method=post action="{it.url}/concerts/{it.concert}">
            <input name=seat value=B9><button>Press me</button></form>"""
        async with page_of(evil.encode()) as elsewhere:
            await page.goto(elsewhere)
            async with page.expect_response(f"{it.url}/concerts/{it.concert}") as answered:
                await page.click("button")
            assert (await answered.value).status == 403
        states = {seat.seat: seat.state for seat in await it.shop.seats(it.concert)}
        assert (states["B1"], states["B9"]) == ("held", "free")
