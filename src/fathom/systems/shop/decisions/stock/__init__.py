"""Five hundred people want the last hundred: how is the stock taken so that exactly a hundred get one?

What is taken for an order is a reservation: held until a time by the clock of the database, then sold or released. A
reservation is known by its order's id, so each of these can be asked again. The stock knows no orders: what it holds
for one that never came to be is released when its time is over.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

from fathom.design import Decision
from fathom.engines.database import Session
from fathom.errors import FathomError

from ...api import ItemId, Level, OrderId, Wanted
from ...stores.shelves import Shelves

__all__ = ["Stock"]


class Stock(Decision):
    """How what an order wants is set aside: all of it or nothing.

    Each verb is done within `tx` if one is given: then it is done if that commits. An approach that cannot set aside
    within a transaction of others does so `ahead` of it, and nothing within it.
    """

    default = "conditional-update"
    kept_in: ClassVar[str] = "counters"  # what says how many are left: approaches with the same switch while running

    shelves: Shelves

    @property
    def retries(self) -> int:
        """How often something was tried once more because others were quicker, since this approach serves."""
        return 0

    @abstractmethod
    async def reserve(self, order: OrderId, wanted: Sequence[Wanted], hold_s: float, tx: Session | None = None) -> None:
        """Set aside what an order wants for so long; refuse with `conflict` if there is not enough of something.

        `wanted` has each item once. An order that has its reservation keeps it as it is.
        """

    async def ahead(self, order: OrderId, wanted: Sequence[Wanted], hold_s: float) -> bool:
        """Set aside what an order wants before its transaction is begun, or refuse; say whether this approach does so.

        What is set aside for an order that then comes to nothing is to be released, and lapses if nobody can.
        """
        return False

    async def sell(self, order: OrderId, tx: Session | None = None) -> bool:
        """Let what is held for an order be sold; say whether it is: False if its time was over before."""
        return await self.shelves.sell(order, tx)

    async def release(self, order: OrderId, tx: Session | None = None) -> bool:
        """Let what an order holds, or was sold, be on the shelf again; say whether anything was."""
        return await self.shelves.release(order, tx)

    async def released(self, order: OrderId) -> None:
        """Hear that a transaction in which an order's things were released has committed."""

    async def renew(self, order: OrderId, hold_s: float, tx: Session | None = None) -> bool:
        """Hold it for so long from now on, if it is still held; say whether it is."""
        return await self.shelves.renew(order, hold_s, tx)

    async def expired(self, most: int = 100) -> list[OrderId]:
        """Return orders whose reservations' time is over, and that still hold something."""
        return await self.shelves.expired(most)

    async def lapse(self, order: OrderId, tx: Session | None = None) -> bool:
        """Release what an order holds if the time for that is over; say whether it was."""
        return await self.shelves.release(order, tx, lapsed=True)

    async def receive(self, item: ItemId, quantity: int, tx: Session) -> None:
        """Put what has come on the shelf."""
        await self.shelves.receive(item, quantity, tx)

    async def received(self, item: ItemId, quantity: int) -> None:
        """Hear that the transaction in which something was received has committed."""

    async def level(self, item: ItemId, tx: Session | None = None) -> Level | None:
        """Return how many there are; None: there is no such item."""
        return await self.shelves.level(item, tx)

    async def begin(self) -> None:
        """Get ready to serve whatever an approach before this one left."""
        await self.shelves.begin(self.kept_in)

    async def adopt(self, previous: Any) -> None:
        """Take over from another approach under load: from one with the same counters there is nothing to do."""
        if previous.kept_in != self.kept_in:
            raise FathomError(
                "this way to take stock cannot take over while the shop is open",
                why=f"it counts what is left in {self.kept_in}, and the one before in {previous.kept_in}",
                fix="stop the shop and start it with the other approach: it counts anew then",
            )
