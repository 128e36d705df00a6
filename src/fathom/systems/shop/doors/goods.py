"""What is sold, and what somebody thinks of buying."""

from __future__ import annotations

from typing import Any

from litestar import get, post, put
from litestar.params import JSONBody

from fathom.web import idempotency

from ..api import ItemId, Level, Shop
from .parameters import After, Category, Id, Key, Limit, Viewer, Words, number
from .shapes import CartShown, ItemPage, ItemShown, Quantity, ToChange, ToSell, cart, item

__all__ = ["handlers"]


def handlers(shop: Shop, under: str) -> list[Any]:
    """Return the handlers about items, stock and carts."""

    @get(f"{under}/items", operation_id="items", tags=["items"])
    async def items(category: Category = "", after: After = "", limit: Limit = 20) -> ItemPage:
        """Return items, newest first."""
        page = await shop.items(category, after, limit)
        return ItemPage(items=[item(it) for it in page.items], after=page.after)

    @get(f"{under}/search", operation_id="search", tags=["items"])
    async def search(q: Words, limit: Limit = 20) -> ItemPage:
        """Return items with these words, the best match first."""
        return ItemPage(items=[item(it) for it in await shop.search(q, limit)])

    @get(f"{under}/items/{{id:str}}", operation_id="item", tags=["items"])
    async def one(id: Id) -> ItemShown:
        """Return an item."""
        return item(await shop.item(ItemId(number(id))))

    @get(f"{under}/items/{{id:str}}/stock", operation_id="level", tags=["items"])
    async def level(id: Id) -> Level:
        """Return how many there are of an item."""
        return await shop.level(ItemId(number(id)))

    @post(f"{under}/items", operation_id="add-item", tags=["staff"])
    async def add(viewer: Viewer, data: JSONBody[ToSell], key: Key = None) -> ItemShown:
        """Put an item into the catalogue (staff)."""
        return item(await shop.add_item(viewer, data.new(), idempotency.read_key(key) or ""))

    @put(f"{under}/items/{{id:str}}", operation_id="change-item", tags=["staff"])
    async def change(viewer: Viewer, id: Id, data: JSONBody[ToChange]) -> ItemShown:
        """Say something else of an item (staff); 409: somebody else did before."""
        return item(await shop.change_item(viewer, ItemId(number(id)), data.version, data.new()))

    @post(f"{under}/items/{{id:str}}/stock", operation_id="receive", tags=["staff"])
    async def receive(viewer: Viewer, id: Id, data: JSONBody[Quantity], key: Key = None) -> Level:
        """Add to the stock what has come (staff)."""
        return await shop.receive(viewer, ItemId(number(id)), data.quantity, idempotency.read_key(key) or "")

    @get(f"{under}/cart", operation_id="cart", tags=["buying"])
    async def cart_(viewer: Viewer) -> CartShown:
        """Return what is in your cart."""
        return cart(await shop.cart(viewer))

    @put(f"{under}/cart/{{id:str}}", operation_id="put", tags=["buying"])
    async def put_(viewer: Viewer, id: Id, data: JSONBody[Quantity]) -> CartShown:
        """Let there be so many of an item in your cart; 0 takes it out."""
        return cart(await shop.put(viewer, ItemId(number(id)), data.quantity))

    return [items, search, one, level, add, change, receive, cart_, put_]
