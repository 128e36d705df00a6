"""Lock seats in Redis, look whether the lock is still there, then write: a control, for between the two is a pause."""

from __future__ import annotations

from fathom.engines.database import Session
from fathom.errors import Refusal

from ... import laws
from ...api import Hold, OrderId
from .redis_fenced import RedisFenced


class RedisUnfenced(RedisFenced):
    """As most guides show it. The lock has an owner and is unlocked by nobody else, and that does not help."""

    breaks = laws.no_seat_is_sold_twice

    async def bind(self, hold: Hold, order: OrderId, hold_s: float, tx: Session) -> None:
        if await self.locks.renew(hold, hold_s) is None:
            raise Refusal("conflict", "these seats are no longer held for you")
        await self.seats.note(hold, order, hold_s, tx)

    async def sell(self, hold: Hold, order: OrderId, tx: Session) -> bool:
        if await self.locks.renew(hold, 60.0) is None:
            return False
        await self.seats.overwrite(hold, order, tx)
        return True
