"""Lend one reader the right to make a copy, and take it away when the item changes: no old copy, and no stampede."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from fathom.design import knob
from fathom.engines.engine import EngineError, EngineUnknown

from ...api import Item, ItemId
from . import Cache

POLL_S = 0.01
MARK_S = 30.0  # longer than the truth is waited for; who dies meanwhile leaves the item without a copy for so long


class Lease(Cache):
    """As in "Scaling Memcache at Facebook" (NSDI 2013), with the item marked before it changes.

    An item is marked first, changed, and unmarked: at no moment is there a copy of what is not true any more, whoever
    dies and whatever is lost. Where Redis cannot be reached nothing is changed, because it may have copies that others
    can reach; items are read from the truth meanwhile, and are sold.
    """

    lease_s: float = knob(1.0, "seconds after which another may make a copy, if the first one has not")

    @property
    def late_s(self) -> float:
        return 0.0

    async def read(self, item: ItemId) -> Item | None:
        if (copy := await self._copied(item)) is not None:
            return copy
        return await self._alone(item, lambda: self._make(item))

    async def _make(self, item: ItemId) -> Item | None:
        """Return an item of which there is no copy; make one, or wait for whoever does."""
        until = asyncio.get_running_loop().time() + self.lease_s
        while asyncio.get_running_loop().time() < until:
            try:
                found = await self.copies.look(item, self.lease_s)
            except EngineError:
                break
            if found.copy is not None:
                return found.copy
            if found.lease:
                return await self._fill(item, found.lease)
            if found.changing:
                break
            await asyncio.sleep(POLL_S)  # who makes it may be in another process, and tells nobody
        return await self._at_the_truth(item)

    async def _fill(self, item: ItemId, lease: str) -> Item | None:
        found = await self._at_the_truth(item)
        with suppress(EngineError):
            if found is None:
                await self.copies.give_up(item)
            else:
                await self.copies.fill(found, lease, self._life_s())
        return found

    async def write(self, item: Item, version: int) -> bool:
        mark = await self.copies.mark(item.id, MARK_S)
        try:
            changed = await self.catalogue.change(item, version)
        except (EngineUnknown, asyncio.CancelledError):
            raise  # it may yet be done: the mark ends by itself
        except BaseException:
            await self._unmark(item.id, mark)
            raise
        await self._unmark(item.id, mark)
        return changed

    async def _unmark(self, item: ItemId, mark: str) -> None:
        with suppress(EngineError):  # then there is no copy until the mark is over
            await self.copies.unmark(item, mark)
