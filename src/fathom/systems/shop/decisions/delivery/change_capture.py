"""Write the event into the database's own log and read it there: no table and no cleaning, in the order of commits."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from fathom.engines.database import Session

from ...api import Order
from . import Delivery


class ChangeCapture(Delivery):
    """A message in PostgreSQL's log of changes, read through a replication slot (`wal_level = logical`).

    The slot remembers how far it was read a little less far than it was: after a crash some events come again.
    """

    _captured = True

    async def begin(self) -> None:
        await self.changes.begin()

    async def adopt(self, previous: Any) -> None:
        await self.begin()
        self.outbox.news.set()

    async def tell(self, orders: Sequence[Order], tx: Session) -> None:
        await self.changes.emit(orders, time.time_ns() // 1_000_000, tx)
