"""A real browser: its windows, and a page of another origin for it to be led to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

if __package__:
    from .strangers import browser
else:  # of what is run by its path
    from strangers import browser

if TYPE_CHECKING:
    from playwright.async_api import Browser, Page

__all__ = ["PHONE", "WIDE", "browsing", "opened_at", "page_of"]

WIDE, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}


@asynccontextmanager
async def browsing() -> AsyncIterator[Browser]:
    from playwright.async_api import async_playwright  # late: only `make outside` has it

    async with async_playwright() as playwright:
        window = await playwright.chromium.launch(executable_path=browser(), args=["--no-sandbox"])
        try:
            yield window
        finally:
            await window.close()


async def opened_at(browser: Browser, address: str, broke: Callable[[str], object], **context: Any) -> Page:
    """Open a page in a window of its own; `broke` is told whatever goes wrong in its script."""
    page = await (await browser.new_context(**{"viewport": WIDE, **context})).new_page()
    page.on("pageerror", lambda error: broke(f"the page's script broke: {error}"))
    await page.goto(address)
    return page


@asynccontextmanager
async def page_of(body: bytes) -> AsyncIterator[str]:
    """Serve one page at an address of another port of this machine: the same site, another origin."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        head = b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\nconnection: close\r\ncontent-length: %d\r\n\r\n"
        writer.write(head % len(body) + body)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
