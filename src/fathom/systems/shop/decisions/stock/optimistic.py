"""Look without a lock and write only if nobody has written since: who was too slow looks again.

Each row has a version. Nobody waits for a look, and on a row that everybody wants most of the work is done in vain: of
those who looked at the same version one writes. Tries are bounded, with a wait of random length between them.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence

from fathom.design import knob
from fathom.engines.database import Session
from fathom.errors import Refusal

from ...api import OrderId, Wanted
from ...stores.shelves import not_enough
from . import Stock
from ._rows import in_order


class Optimistic(Stock):
    """At least two round trips for each item of a basket."""

    tries: int = knob(12, "how often a row is looked at before the buyer is told to come again")
    wait_ms: float = knob(1.0, "milliseconds of the first wait, on average; each further one is twice as long")
    dice = random.Random()  # a dive gives it its own, so that a seed is a seed
    _again = 0

    @property
    def retries(self) -> int:
        return self._again

    async def reserve(self, order: OrderId, wanted: Sequence[Wanted], hold_s: float, tx: Session | None = None) -> None:
        if tx is None and len(wanted) > 1:
            async with self.shelves.db.transaction() as own:
                await self.reserve(order, wanted, hold_s, own)
            return
        for want in in_order(wanted, sorts=True):
            await self._one(order, want, hold_s, tx)

    async def _one(self, order: OrderId, want: Wanted, hold_s: float, tx: Session | None) -> None:
        for number in range(self.tries):
            if number:
                self._again += 1
                longest_s = self.wait_ms / 500 * 2 ** min(number - 1, 6)
                await asyncio.sleep(self.dice.uniform(0.0, longest_s))  # drawn, so that those who met do not meet again
            there = await self.shelves.look(want.item, tx)
            if there is None or there.available < want.quantity:
                if await self.shelves.has(order, want.item, tx):
                    return
                raise not_enough(want.item)
            if await self.shelves.put_aside(order, want, hold_s, tx, version=there.version):
                return
            if await self.shelves.has(order, want.item, tx):
                return
        raise Refusal("unavailable", f"too many want item {want.item} at once, try again", retry_s=1.0)
