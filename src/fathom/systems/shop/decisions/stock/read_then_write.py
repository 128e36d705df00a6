"""Look how many are left, subtract, and save the row: a control, because two who look at once both save the same.

What an object-relational mapper does with `item.stock -= n; item.save()`, and how shops have oversold for twenty years.
A transaction around it does not help: at READ COMMITTED both read what was committed before either writes. The row
always adds up and is never below zero, so no constraint of it is broken either; only the orders tell.
"""

from __future__ import annotations

from collections.abc import Sequence

from fathom.engines.database import Session

from ... import laws
from ...api import OrderId, Wanted
from ...stores.shelves import not_enough
from . import Stock


class ReadThenWrite(Stock):
    """A look, and a write of what it made of it."""

    breaks = laws.nothing_is_sold_twice

    async def reserve(self, order: OrderId, wanted: Sequence[Wanted], hold_s: float, tx: Session | None = None) -> None:
        if tx is None:
            async with self.shelves.db.transaction() as own:
                await self.reserve(order, wanted, hold_s, own)
            return
        for want in wanted:
            there = await self.shelves.look(want.item, tx)
            if await self.shelves.has(order, want.item, tx):
                continue
            if there is None or there.available < want.quantity:
                raise not_enough(want.item)
            await self.shelves.save(there, held=want.quantity, tx=tx)
            await self.shelves.note(order, [want], hold_s, tx)

    async def sell(self, order: OrderId, tx: Session | None = None) -> bool:
        return await self.shelves.mark(order, "sold", tx)

    async def release(self, order: OrderId, tx: Session | None = None) -> bool:
        return await self.shelves.mark(order, "released", tx)

    async def lapse(self, order: OrderId, tx: Session | None = None) -> bool:
        return await self.shelves.mark(order, "released", tx, lapsed=True)
