"""What only staff may see and do: everybody's orders, shipping, the log and what is read from it."""

from __future__ import annotations

from typing import Any

from litestar import get, post

from ..api import PAGE_MAX, OrderId, Shop, Sold
from .parameters import After, Id, Limit, OnlyStatus, Seq, Viewer, number
from .shapes import EventPage, OrderPage, OrderShown, Replayed, TakenShown, TallyShown, event, order, taken, tally

__all__ = ["handlers"]


def handlers(shop: Shop, under: str) -> list[Any]:
    """Return the handlers for staff; everybody else is told 403."""
    at = f"{under}/staff"

    @get(f"{at}/orders", operation_id="all-orders", tags=["staff"])
    async def all_orders(viewer: Viewer, status: OnlyStatus, after: After = "", limit: Limit = 20) -> OrderPage:
        """Return everybody's orders with a status, newest first."""
        page = await shop.all_orders(viewer, status, after, limit)
        return OrderPage(orders=[order(it) for it in page.orders], after=page.after)

    @post(f"{at}/orders/{{id:str}}/ship", operation_id="ship", tags=["staff"], status_code=200)
    async def ship(viewer: Viewer, id: Id) -> OrderShown:
        """Say that a confirmed order is on its way."""
        return order(await shop.ship(viewer, OrderId(number(id))))

    @post(f"{at}/orders/{{id:str}}/deliver", operation_id="deliver", tags=["staff"], status_code=200)
    async def deliver(viewer: Viewer, id: Id) -> OrderShown:
        """Say that a shipped order has arrived."""
        return order(await shop.deliver(viewer, OrderId(number(id))))

    @get(f"{at}/orders/{{id:str}}/taken", operation_id="taken", tags=["staff"])
    async def taken_(viewer: Viewer, id: Id) -> list[TakenShown]:
        """Return what the payment provider itself says that it took for an order."""
        return [taken(it) for it in await shop.taken(viewer, OrderId(number(id)))]

    @get(f"{at}/events", operation_id="events", tags=["staff"])
    async def events(viewer: Viewer, after: Seq = 0, limit: Limit = PAGE_MAX) -> EventPage:
        """Return what happened to orders, in the order in which it was committed."""
        page = await shop.events(viewer, after, limit)
        return EventPage(events=[event(it) for it in page.events], after=page.after)

    @get(f"{at}/sales", operation_id="sales", tags=["staff"])
    async def sales(viewer: Viewer) -> list[Sold]:
        """Return how much was sold, by item, as it was a moment ago."""
        return await shop.sales(viewer)

    @get(f"{at}/tallies", operation_id="tallies", tags=["staff"])
    async def tallies(viewer: Viewer) -> list[TallyShown]:
        """Return how many orders stand where, as it was a moment ago."""
        return [tally(it) for it in await shop.tallies(viewer)]

    @post(f"{at}/replay", operation_id="replay", tags=["staff"], status_code=200)
    async def replay(viewer: Viewer) -> Replayed:
        """Make the read models of the log again."""
        return Replayed(events=await shop.replay(viewer))

    return [all_orders, ship, deliver, taken_, events, sales, tallies, replay]
