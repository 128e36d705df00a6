"""Take it if there is enough, in one statement: the database compares and subtracts while it has the row.

`UPDATE … SET available = available - n WHERE available >= n`: no read before it, so nothing to be outdated.
"""

from __future__ import annotations

from collections.abc import Sequence

from fathom.design import knob
from fathom.engines.database import Session

from ...api import OrderId, Wanted
from . import Stock
from ._rows import in_order


class ConditionalUpdate(Stock):
    """One round trip for each item of a basket."""

    sorts: bool = knob(True, "whether rows are locked in the order of their items, not in that of the basket")

    async def reserve(self, order: OrderId, wanted: Sequence[Wanted], hold_s: float, tx: Session | None = None) -> None:
        await self.shelves.take(order, in_order(wanted, sorts=self.sorts), hold_s, tx)
