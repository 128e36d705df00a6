"""Lock seats in Redis, and let each seat refuse whoever comes with a lower token than it has seen."""

from __future__ import annotations

from collections.abc import Sequence

from fathom.engines.database import Session
from fathom.errors import Refusal

from ...api import ConcertId, Hold, HoldId, OrderId, Seat, UserId
from ...stores.locks import SeatLocks, new_hold
from . import Lock

_LOST = "no longer held for you"


class RedisFenced(Lock):
    """Holds that lapse leave no row behind; what is ordered is in the seats' rows, under their tokens."""

    locks: SeatLocks

    def __post_init__(self) -> None:
        self._highest = 0

    async def hold(
        self, id: HoldId, user: UserId, concert: ConcertId, seats: Sequence[str], hold_s: float, tx: Session
    ) -> Hold:
        floor = max(self._highest, await self.seats.look(concert, seats, tx))
        hold = await self.locks.hold(new_hold(id, user, concert, seats), floor, hold_s)
        if hold is None:
            raise Refusal("conflict", "one of these seats is taken")
        self._highest = max(self._highest, hold.token)
        return hold

    async def held(self, id: HoldId, tx: Session | None = None) -> Hold | None:
        return await self.locks.held(id) or await self.seats.held(id, tx)

    async def shown(self, concert: ConcertId) -> list[Seat]:
        seats = await self.seats.of(concert)
        locked = await self.locks.locked(concert, [seat.seat for seat in seats if seat.state == "free"])
        return [Seat(seat.seat, "held", seat.token) if seat.seat in locked else seat for seat in seats]

    async def renew(self, hold: Hold, hold_s: float) -> Hold:
        if await self.seats.ordered(hold.id):
            raise Refusal("conflict", "these seats are being ordered already")
        renewed = await self.locks.renew(hold, hold_s)
        if renewed is None:
            raise Refusal("conflict", f"these seats are {_LOST}")
        return renewed

    async def release(self, hold: Hold) -> None:
        if not await self.seats.ordered(hold.id):
            await self.locks.free(hold)

    async def bind(self, hold: Hold, order: OrderId, hold_s: float, tx: Session) -> None:
        await self._still(hold, hold_s, tx)
        # Whatever happens from here on, however long it takes: the seats know better than the lock.
        await self.seats.claim(hold, order, hold_s, tx)

    async def _still(self, hold: Hold, hold_s: float, tx: Session) -> None:
        """Refuse a hold whose locks are another's; keep them for so long if they are its own."""
        if await self.locks.renew(hold, hold_s) is None:
            ordered = await self.seats.ordered(hold.id, tx)
            raise Refusal("conflict", f"these seats are {'being ordered already' if ordered else _LOST}")

    async def free(self, hold: Hold, tx: Session | None = None) -> None:
        await self.seats.free(hold, tx)
        await self.locks.free(hold)
