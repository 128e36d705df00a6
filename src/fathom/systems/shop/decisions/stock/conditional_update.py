"""Take it if there is enough, in one statement: the database compares and subtracts while it has the row.

`UPDATE … SET available = available - n WHERE available >= n`: no read before it, so nothing to be outdated. Rows of a
basket are taken in the order of their ids, so that two baskets never wait for each other in a circle.
"""

from __future__ import annotations

from collections.abc import Sequence

from fathom.engines.database import Session

from ...api import OrderId, Wanted
from . import Stock


class ConditionalUpdate(Stock):
    """One round trip for a basket of one item, and one for each further item."""

    async def reserve(self, order: OrderId, wanted: Sequence[Wanted], hold_s: float, tx: Session | None = None) -> None:
        await self.shelves.take(order, wanted, hold_s, tx)
