"""What people think of buying."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fathom.engines.postgres import Postgres

from ..api import Cart, ItemId, UserId, Wanted

if TYPE_CHECKING:
    from fathom.engines.database import Database

__all__ = ["Carts"]

_PUT = """
    INSERT INTO carts (user_id, item, quantity) SELECT $1, id, $3 FROM items WHERE id = $2
    ON CONFLICT (user_id, item) DO UPDATE SET quantity = excluded.quantity
"""


class Carts:
    """A row by user and item. What is ordered leaves the cart in the order's own statement (`OrderRows.add`)."""

    def __init__(self, truth: Postgres) -> None:
        self._truth = truth

    @property
    def _db(self) -> Database:
        return self._truth.client

    async def of(self, user: UserId) -> Cart:
        rows = await self._db.fetch("SELECT item, quantity FROM carts WHERE user_id = $1 ORDER BY item", user)
        return Cart(lines=[Wanted(row["item"], row["quantity"]) for row in rows])

    async def put(self, user: UserId, item: ItemId, quantity: int) -> bool:
        """Let there be so many; say whether there is such an item."""
        return await self._db.execute(_PUT, user, item, quantity) == 1

    async def drop(self, user: UserId, item: ItemId) -> None:
        await self._db.execute("DELETE FROM carts WHERE user_id = $1 AND item = $2", user, item)
