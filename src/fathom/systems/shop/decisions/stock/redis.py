"""Count down in Redis, where one script is one step, and write the reservation down afterwards.

The row that everybody wants is not in the database any more, and the sold-out are told so without it. What it loses:
between the script and the row lies a gap. Who is killed in it leaves units that nobody has until the counter is made
anew; a Redis that forgets its last writes counts units that are gone. The latter is caught when an order is paid: the
row of the stock, which changes only then, refuses to go below zero, and the buyer gets the money back.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import ClassVar

from fathom.engines.database import Session
from fathom.engines.engine import EngineError, EngineUnknown

from ...api import ItemId, Level, OrderId, Wanted
from ...stores.shelves import not_enough
from ...stores.tallies import Tallies
from . import Stock

RELEASING_MAX = 10_000  # transactions that are about to commit; of those that never do nobody hears


class InRedis(Stock):
    """A script in Redis and a statement in PostgreSQL for a basket of any size."""

    kept_in: ClassVar[str] = "tallies"

    tallies: Tallies

    def __post_init__(self) -> None:
        self._releasing: dict[OrderId, Sequence[Wanted]] = {}

    async def reserve(self, order: OrderId, wanted: Sequence[Wanted], hold_s: float, tx: Session | None = None) -> None:
        if tx is not None:
            return  # it was done ahead of this transaction, in which what is taken in Redis could not be taken back
        missing = await self.tallies.take(order, wanted, hold_s)
        if missing is not None:
            raise not_enough(missing)
        try:
            await self.shelves.note(order, wanted, hold_s)
        except EngineUnknown:
            raise  # if it is there, it lapses; if not, the counter is too low until it is made anew
        except Exception:  # who was given up is not among these: what they have sent may be carried out
            await self.tallies.give_back(wanted)
            raise

    async def ahead(self, order: OrderId, wanted: Sequence[Wanted], hold_s: float) -> bool:
        await self.reserve(order, wanted, hold_s)
        return True

    async def sell(self, order: OrderId, tx: Session | None = None) -> bool:
        return await self.shelves.sell_noted(order, tx)

    async def release(self, order: OrderId, tx: Session | None = None) -> bool:
        return await self._gone(order, await self.shelves.release_noted(order, tx), tx)

    async def released(self, order: OrderId) -> None:
        await self._count_back(self._releasing.pop(order, ()))

    async def lapse(self, order: OrderId, tx: Session | None = None) -> bool:
        return await self._gone(order, await self.shelves.release_noted(order, tx, lapsed=True), tx)

    async def received(self, item: ItemId, quantity: int) -> None:
        with suppress(EngineError):  # then the counter is too low until it is made anew
            await self.tallies.add(item, quantity)

    async def level(self, item: ItemId, tx: Session | None = None) -> Level | None:
        return await self.shelves.counted(item, tx)

    async def begin(self) -> None:
        await super().begin()
        await self.tallies.forget()

    async def _gone(self, order: OrderId, released: Sequence[Wanted], tx: Session | None) -> bool:
        """Count back what was released: within a transaction not before it has committed."""
        if tx is None:
            await self._count_back(released)
        else:  # also nothing: what was noted before may have been rolled back, and released otherwise since
            self._releasing[order] = released
            if len(self._releasing) > RELEASING_MAX:  # should it commit after all, the counters are too low
                del self._releasing[next(iter(self._releasing))]
        return bool(released)

    async def _count_back(self, released: Sequence[Wanted]) -> None:
        if released:
            with suppress(EngineError):  # then the counters are too low until they are made anew
                await self.tallies.give_back(released)
