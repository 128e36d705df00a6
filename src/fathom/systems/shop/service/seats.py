"""Concerts and their seats: held for a while, renewed, let go of."""

from __future__ import annotations

from ..api import ConcertId, Hold, HoldId, Seat, UserId
from ..model.checks import checked_id, checked_seats
from .base import asking, changing
from .goods import Goods, asked_for

__all__ = ["Seats"]


class Seats(Goods):
    """Seats of concerts."""

    async def seats(self, concert: ConcertId) -> list[Seat]:
        checked_id(concert, "concert")
        with asking():
            return await self._stores.seats.of(concert)

    async def hold(self, user: UserId, concert: ConcertId, seats: list[str], key: str = "") -> Hold:
        asked_for(user, "hold", key, concert, seats)
        checked_id(concert, "concert")
        wanted = checked_seats(seats)
        id = HoldId(self._numbers.next())
        with changing():
            return await self._choices.lock.hold(id, user, concert, wanted, self._rules.seats_s)
