"""Let the seat's own row say who holds it: there is nothing beside it that could be of another opinion."""

from __future__ import annotations

from collections.abc import Sequence

from fathom.engines.database import Session

from ...api import ConcertId, Hold, HoldId, OrderId, UserId
from . import Lock


class InDatabase(Lock):
    """Guarded updates in one transaction; the clock of the database says when a hold is over."""

    async def hold(
        self, id: HoldId, user: UserId, concert: ConcertId, seats: Sequence[str], hold_s: float, tx: Session
    ) -> Hold:
        return await self.seats.hold(id, user, concert, seats, hold_s, tx)

    async def renew(self, hold: Hold, hold_s: float) -> Hold:
        return await self.seats.renew(hold, hold_s)

    async def release(self, hold: Hold) -> None:
        await self.seats.release(hold)

    async def bind(self, hold: Hold, order: OrderId, hold_s: float, tx: Session) -> None:
        await self.seats.bind(hold, order, hold_s, tx)
