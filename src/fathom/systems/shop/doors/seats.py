"""Concerts, and the seats that are held for somebody."""

from __future__ import annotations

from typing import Any

from litestar import delete, get, post
from litestar.params import JSONBody

from fathom.web import idempotency

from ..api import ConcertId, Hold, HoldId, Shop
from .parameters import After, Id, Key, Limit, Viewer, number
from .shapes import ConcertPage, ConcertShown, Seats, SeatShown, ToStage, concert, seat

__all__ = ["handlers"]


def handlers(shop: Shop, under: str) -> list[Any]:
    """Return the handlers about concerts and seats."""
    at = f"{under}/concerts"

    @post(at, operation_id="add-concert", tags=["staff"])
    async def add(viewer: Viewer, data: JSONBody[ToStage], key: Key = None) -> ConcertShown:
        """Put a concert on sale (staff)."""
        return concert(await shop.add_concert(viewer, data.new(), idempotency.read_key(key) or ""))

    @get(at, operation_id="concerts", tags=["seats"])
    async def concerts(after: After = "", limit: Limit = 20) -> ConcertPage:
        """Return concerts, newest first."""
        page = await shop.concerts(after, limit)
        return ConcertPage(concerts=[concert(it) for it in page.concerts], after=page.after)

    @get(f"{at}/{{id:str}}", operation_id="concert", tags=["seats"])
    async def one(id: Id) -> ConcertShown:
        """Return a concert."""
        return concert(await shop.concert(ConcertId(number(id))))

    @get(f"{at}/{{id:str}}/seats", operation_id="seats", tags=["seats"])
    async def seats(id: Id) -> list[SeatShown]:
        """Return the seats of a concert, by row and number."""
        return [seat(it) for it in await shop.seats(ConcertId(number(id)))]

    @post(f"{at}/{{id:str}}/holds", operation_id="hold", tags=["seats"])
    async def hold(viewer: Viewer, id: Id, data: JSONBody[Seats], key: Key = None) -> Hold:
        """Keep seats for a while, all of them or none; 409: one is taken. Needs a key."""
        needed = idempotency.read_key(key, required=True) or ""
        return await shop.hold(viewer, ConcertId(number(id)), data.seats, needed)

    @post(f"{under}/holds/{{id:str}}/renew", operation_id="renew", tags=["seats"], status_code=200)
    async def renew(viewer: Viewer, id: Id) -> Hold:
        """Keep them longer; 409: they may be somebody else's by now."""
        return await shop.renew(viewer, HoldId(number(id)))

    @delete(f"{under}/holds/{{id:str}}", operation_id="release", tags=["seats"])
    async def release(viewer: Viewer, id: Id) -> None:
        """Let seats go."""
        await shop.release(viewer, HoldId(number(id)))

    return [add, concerts, one, seats, hold, renew, release]
