"""Lock seats in Redis, look whether the lock is still there, then write: a control, for between the two is a pause."""

from __future__ import annotations

from fathom.engines.database import Session

from ... import laws
from ...api import Hold, OrderId
from .redis_fenced import RedisFenced


class RedisUnfenced(RedisFenced):
    """As most guides show it. The lock has an owner and is unlocked by nobody else, and that does not help."""

    breaks = laws.no_seat_is_sold_twice

    async def bind(self, hold: Hold, order: OrderId, hold_s: float, tx: Session) -> None:
        await self._still(hold, hold_s, tx)
        await self.seats.note(hold, order, hold_s, tx)

    async def prolong(self, hold: Hold, hold_s: float, tx: Session) -> bool:
        return await self.locks.renew(hold, hold_s) is not None

    async def sell(self, hold: Hold, order: OrderId, tx: Session) -> bool:
        if not await self.locks.mine(hold):
            return False
        await self.seats.overwrite(hold, order, tx)
        return True
