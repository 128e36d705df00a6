"""Write the event beside the change and pass it on in commit order: nothing is lost, and the slowest holds up all."""

from __future__ import annotations

from collections.abc import Sequence

from fathom.engines.database import Session

from ...api import Order
from . import Delivery


class OutboxByCommit(Delivery):
    """Events of transactions that are older than every one still running: none can come to light behind them."""

    async def tell(self, orders: Sequence[Order], tx: Session) -> None:
        await self.outbox.add(orders, tx)
