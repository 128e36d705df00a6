"""Write the event beside the change and pass it on in commit order: nothing is lost, and something may come twice."""

from __future__ import annotations

from collections.abc import Sequence

from fathom.engines.database import Session

from ...api import Order
from . import Delivery


class OutboxByCommit(Delivery):
    """Events of transactions that are older than every one still running: none can come to light behind them."""

    async def tell(self, orders: Sequence[Order], tx: Session) -> None:
        await self.outbox.add(orders, tx)

    async def pass_on(self) -> int:
        return await self.outbox.pass_on()
