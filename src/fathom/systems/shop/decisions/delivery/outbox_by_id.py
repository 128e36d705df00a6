"""Write the event beside the change and ask for ids above the last: a control, because ids are drawn before commits."""

from __future__ import annotations

from collections.abc import Sequence

from fathom.engines.database import Session

from ... import laws
from ...api import Order
from . import Delivery


class OutboxById(Delivery):
    """`WHERE id > last ORDER BY id`: what a slow transaction wrote appears behind `last`, where nobody looks."""

    breaks = laws.no_event_is_lost

    async def tell(self, orders: Sequence[Order], tx: Session) -> None:
        await self.outbox.add(orders, tx)

    async def pass_on(self) -> int:
        return await self.outbox.pass_on_by_id()

    async def waiting(self) -> int:
        return await self.outbox.waiting()  # what was captured before is not passed on this way
