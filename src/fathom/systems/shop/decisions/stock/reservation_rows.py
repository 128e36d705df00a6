"""Have a row for each thing on the shelf and give out those that nobody else is taking: there is no row that all want.

`SELECT … FOR UPDATE SKIP LOCKED`. No number has to be kept right, so nobody waits for it; but who counts what is left
counts rows, a thousand things are a thousand rows, and what another one is just taking looks gone even if it is put
back a moment later.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from fathom.engines.database import Session

from ...api import ItemId, Level, OrderId, Wanted
from ...stores.shelves import not_enough
from . import Stock
from ._rows import in_order


class ReservationRows(Stock):
    """One round trip for each item of a basket."""

    kept_in: ClassVar[str] = "units"

    async def reserve(self, order: OrderId, wanted: Sequence[Wanted], hold_s: float, tx: Session | None = None) -> None:
        if tx is None and len(wanted) > 1:
            async with self.shelves.db.transaction() as own:
                await self.reserve(order, wanted, hold_s, own)
            return
        for want in in_order(wanted, sorts=True):
            if not await self.shelves.units.take(order, want, hold_s, tx) and not await self.shelves.has(
                order, want.item, tx
            ):
                raise not_enough(want.item)

    async def sell(self, order: OrderId, tx: Session | None = None) -> bool:
        return await self.shelves.mark(order, "sold", tx, counters=False)

    async def release(self, order: OrderId, tx: Session | None = None) -> bool:
        return await self.shelves.units.give_back(order, tx)

    async def lapse(self, order: OrderId, tx: Session | None = None) -> bool:
        return await self.shelves.units.give_back(order, tx, lapsed=True)

    async def receive(self, item: ItemId, quantity: int, tx: Session) -> None:
        await self.shelves.receive(item, quantity, tx)
        await self.shelves.units.add(item, tx)

    async def level(self, item: ItemId, tx: Session | None = None) -> Level | None:
        return await self.shelves.counted(item, tx)
