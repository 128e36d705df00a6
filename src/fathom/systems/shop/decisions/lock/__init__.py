"""Somebody holds a seat and then pauses for ten seconds: who keeps them from selling it when it is another's by now?"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

from fathom.design import Decision
from fathom.engines.database import Session

from ...api import ConcertId, Hold, HoldId, OrderId, Seat, UserId
from ...stores.seats import Seats

__all__ = ["Lock"]


class Lock(Decision):
    """How seats are held. Each hold has a token above those of all holds before it of any of its seats."""

    default = "database"

    seats: Seats

    @abstractmethod
    async def hold(
        self, id: HoldId, user: UserId, concert: ConcertId, seats: Sequence[str], hold_s: float, tx: Session
    ) -> Hold:
        """Keep seats, sorted and each once, for somebody; refuse with `conflict` if one is held or sold.

        An approach that keeps its locks elsewhere does it at once: if `tx` is rolled back, they lapse.
        """

    async def held(self, id: HoldId, tx: Session | None = None) -> Hold | None:
        """Return a hold, whether it lasts or not. Who has a connection reads it there: there may be no other free."""
        return await self.seats.held(id, tx)

    async def shown(self, concert: ConcertId) -> list[Seat]:
        """Return all seats of a concert as everybody may see them."""
        return await self.seats.of(concert)

    @abstractmethod
    async def renew(self, hold: Hold, hold_s: float) -> Hold:
        """Keep them longer; refuse with `conflict` if they may be somebody else's by now, or are ordered."""

    @abstractmethod
    async def release(self, hold: Hold) -> None:
        """Let go of seats that are held and not ordered."""

    @abstractmethod
    async def bind(self, hold: Hold, order: OrderId, hold_s: float, tx: Session) -> None:
        """Keep the seats of a hold for an order, for so long; refuse with `conflict` if they may be another's."""

    async def prolong(self, hold: Hold, hold_s: float, tx: Session) -> bool:
        """Keep an order's seats for at least so long from now; say whether they are: not if they may be another's."""
        return await self.seats.prolong(hold, hold_s, tx)

    async def sell(self, hold: Hold, order: OrderId, tx: Session) -> bool:
        """Let the seats of a hold be sold to an order; say whether they are: False if they were another's by then."""
        return await self.seats.sell(hold, order, tx)

    async def free(self, hold: Hold, tx: Session | None = None) -> None:
        """Let go of seats that are held for an order with this token, or were sold with it."""
        await self.seats.free(hold, tx)

    async def adopt(self, previous: Any) -> None:
        """Take over under load: what was ordered lies in the seats' rows, whoever held it before."""
