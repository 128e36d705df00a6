"""Commit the change and then tell the log: a control, because who is killed in between has told nobody."""

from __future__ import annotations

import time
from collections.abc import Sequence

from fathom.engines.database import Session

from ... import laws
from ...api import Order
from ...stores.outbox import telling
from . import Delivery


class DualWrite(Delivery):
    """Two writes to two places, each of which may be the last. The log is in another transaction here, as elsewhere it
    is in another system."""

    breaks = laws.no_event_is_lost

    async def tell(self, orders: Sequence[Order], tx: Session) -> None:
        pass

    async def told(self, orders: Sequence[Order]) -> None:
        now_ms = time.time_ns() // 1_000_000
        async with self.outbox.db.transaction() as tx:
            await self.outbox.line_up(tx)
            await self.outbox.append([telling(order, now_ms) for order in orders], tx)
        self.outbox.news.set()

    async def pass_on(self) -> int:
        return 0

    async def waiting(self) -> int:
        return await self.outbox.waiting()  # what was captured before is not passed on this way
