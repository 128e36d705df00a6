"""What is sold: concerts and items, a page at a time."""

from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import quote

from fathom.web.app import Reply

from ...api import Concert, Item, Shop
from ...model.checks import CONCERTS
from .asked import Asked, goes_to
from .html import button, escape, field, hidden, money

__all__ = ["Goods", "when"]


def when(ms: int) -> str:
    """Return when something is.

    >>> when(1_900_000_000_000)
    '17 March 2030, 17:46 UTC'
    """
    at = datetime.fromtimestamp(ms / 1_000, UTC)
    return f"{at.day} {at:%B %Y, %H:%M} UTC"


class Goods:
    """The front page, and an item's own."""

    def __init__(self, shop: Shop) -> None:
        self._shop = shop

    async def front(self, asked: Asked) -> Reply:
        words, category, after = asked.said("q"), asked.said("category"), asked.said("after")
        search = field("Search", "q", f"type=search value='{escape(words)}'")
        box = f"<form action='/' role=search>{search}"
        box += f"{button('Search', quiet=True)}</form>"
        if words:
            items, more = await self._shop.search(words), ""
        else:
            found = await self._shop.items(category, after, 20)
            items, more = found.items, found.after
        if not category and not words:  # concerts stand above
            items = [item for item in items if item.category != CONCERTS]
        listed = "".join(_item(item) for item in items) or "<li>There is nothing.</li>"
        body = "" if words or after else await self._concerts()
        body += f"{box}<h2>{escape(f'Found for {words}' if words else category or 'Everything')}</h2>"
        body += f"<ul class=plain>{listed}</ul>"
        if more:
            body += f"<p><a href='/?category={quote(category)}&amp;after={quote(more)}'>Older ones</a></p>"
        return asked.shows("What is on sale", body)

    async def _concerts(self) -> str:
        found = await self._shop.concerts(limit=5)
        listed = "".join(map(_concert, found.concerts))
        return f"<h2>Concerts</h2><ul class=plain>{listed}</ul>" if listed else ""

    async def item(self, asked: Asked) -> Reply:
        item = await self._shop.item(asked.id())
        if item.category == CONCERTS:
            return goes_to(f"/concerts/{item.id}")
        level = await self._shop.level(item.id)
        pictures = [name for name in item.pictures if name.endswith("-480")]
        shown = "".join(
            f"<p><img src='/pictures/{item.id}/{name}' alt='{escape(f'{item.name}: {name[:-4]}')}'></p>"
            for name in pictures
        )
        left = f"{level.available:,} left" if level.available else "Sold out"
        body = f"{shown}<p class=price>{money(item.price)} · <span class=soft>{left}</span></p>"
        body += f"<p>{escape(item.description)}</p>"
        if level.available:
            most = min(level.available, 10)
            inside = hidden(item=item.id)
            inside += field("How many", "quantity", f"type=number min=1 max={most} value=1 required inputmode=numeric")
            body += asked.posts("/cart", inside + button("Put into the cart"))
        return asked.shows(item.name, body)

    async def picture(self, asked: Asked) -> Reply:
        data = await self._shop.picture(asked.id(), asked.path[1])
        return Reply(200, data, [(b"cache-control", b"public, max-age=3600")], b"image/png")


def _item(item: Item) -> str:
    where = "concerts" if item.category == CONCERTS else "items"
    return (
        f"<li><a href='/{where}/{item.id}'>{escape(item.name)}</a><br>"
        f"<span class=price>{money(item.price)}</span> · <a class=soft href='/?category={quote(item.category)}'>"
        f"{escape(item.category)}</a></li>"
    )


def _concert(concert: Concert) -> str:
    starts = f"{when(concert.starts_ms)} · " if concert.starts_ms else ""
    return (
        f"<li><a href='/concerts/{concert.id}'>{escape(concert.name)}</a><br>"
        f"<span class=soft>{starts}</span><span class=price>{money(concert.price)} a seat</span></li>"
    )
