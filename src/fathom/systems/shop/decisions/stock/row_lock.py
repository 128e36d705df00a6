"""Lock the rows, look, and then write: everybody else waits from the look to the commit.

`SELECT … FOR UPDATE`, the guides' pessimistic checkout. Between the look and the write there may be any code at all; it
costs a round trip more than to compare in the update itself.
"""

from __future__ import annotations

from collections.abc import Sequence

from fathom.design import knob
from fathom.engines.database import Session

from ...api import OrderId, Wanted
from ...stores.shelves import not_enough
from . import Stock
from ._rows import in_order


class RowLock(Stock):
    """Two round trips for each item of a basket, and the commit."""

    sorts: bool = knob(True, "whether rows are locked in the order of their items, not in that of the basket")

    async def reserve(self, order: OrderId, wanted: Sequence[Wanted], hold_s: float, tx: Session | None = None) -> None:
        if tx is None:
            async with self.shelves.db.transaction() as own:
                await self.reserve(order, wanted, hold_s, own)
            return
        for want in in_order(wanted, sorts=self.sorts):
            there = await self.shelves.look(want.item, tx, lock=True)
            if there is None or there.available < want.quantity:
                if await self.shelves.has(order, want.item, tx):
                    continue
                raise not_enough(want.item)
            await self.shelves.put_aside(order, want, hold_s, tx)
