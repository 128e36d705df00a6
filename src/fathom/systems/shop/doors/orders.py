"""Ordering, paying, and what becomes of orders."""

from __future__ import annotations

from typing import Any

from litestar import Response, get, post
from litestar.datastructures import ResponseHeader
from litestar.params import JSONBody

from fathom.web import idempotency

from ..api import Change, OrderId, Shop
from .parameters import After, Id, Key, Limit, Viewer, number
from .shapes import (
    AttemptShown,
    Method,
    Ordered,
    OrderPage,
    OrderShown,
    SummaryPage,
    attempt,
    order,
    summary,
)

__all__ = ["handlers"]

LOCATION = [ResponseHeader(name="Location", value="", documentation_only=True, description="Where it lies from now on")]


def handlers(shop: Shop, under: str) -> list[Any]:
    """Return the handlers about one's own orders."""
    at = f"{under}/orders"

    @post(at, operation_id="checkout", tags=["buying"], response_headers=LOCATION)
    async def checkout(viewer: Viewer, data: JSONBody[Ordered], key: Key = None) -> Response[OrderShown]:
        """Order, and have it set aside; 409: there is not enough, or it costs something else by now. Needs a key."""
        made = await shop.checkout(viewer, data.basket(), idempotency.read_key(key, required=True) or "")
        return Response(order(made), headers={"location": f"{at}/{made.id}"})

    @get(at, operation_id="orders", tags=["buying"])
    async def orders(viewer: Viewer, after: After = "", limit: Limit = 20) -> OrderPage:
        """Return your orders, newest first."""
        page = await shop.orders(viewer, after, limit)
        return OrderPage(orders=[order(it) for it in page.orders], after=page.after)

    @get(f"{under}/summaries", operation_id="summaries", tags=["buying"])
    async def summaries(viewer: Viewer, after: After = "", limit: Limit = 20) -> SummaryPage:
        """Return your orders in short, newest first, as they were a moment ago."""
        page = await shop.summaries(viewer, after, limit)
        return SummaryPage(summaries=[summary(it) for it in page.summaries], after=page.after)

    @get(f"{at}/{{id:str}}", operation_id="order", tags=["buying"])
    async def one(viewer: Viewer, id: Id) -> OrderShown:
        """Return one of your orders."""
        return order(await shop.order(viewer, OrderId(number(id))))

    @get(f"{at}/{{id:str}}/history", operation_id="history", tags=["buying"])
    async def history(viewer: Viewer, id: Id) -> list[Change]:
        """Return an order's changes of status, the oldest first."""
        return await shop.history(viewer, OrderId(number(id)))

    @get(f"{at}/{{id:str}}/payments", operation_id="attempts", tags=["buying"])
    async def attempts(viewer: Viewer, id: Id) -> list[AttemptShown]:
        """Return what was tried to have an order paid, the oldest first."""
        return [attempt(it) for it in await shop.attempts(viewer, OrderId(number(id)))]

    @post(f"{at}/{{id:str}}/payments", operation_id="pay", tags=["buying"], status_code=200)
    async def pay(viewer: Viewer, id: Id, data: JSONBody[Method], key: Key = None) -> OrderShown:
        """Pay for an order. While it is `payment-processing` the provider has not answered. Needs a key."""
        needed = idempotency.read_key(key, required=True) or ""
        return order(await shop.pay(viewer, OrderId(number(id)), data.method, needed))

    @post(f"{at}/{{id:str}}/cancel", operation_id="cancel", tags=["buying"], status_code=200)
    async def cancel(viewer: Viewer, id: Id) -> OrderShown:
        """Cancel an order that is not shipped; what was paid is given back."""
        return order(await shop.cancel(viewer, OrderId(number(id))))

    return [checkout, orders, summaries, one, history, attempts, pay, cancel]
