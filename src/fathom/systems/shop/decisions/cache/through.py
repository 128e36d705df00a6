"""Write the truth and then the copy, so that it is there before anybody looks: two writers may do it crosswise."""

from __future__ import annotations

from contextlib import suppress

from fathom.engines.engine import EngineError

from ...api import Item, ItemId
from . import Cache


class Through(Cache):
    """After a change nobody misses. Whoever read before it may put the old one over it."""

    async def read(self, item: ItemId) -> Item | None:
        if (copy := await self._copied(item)) is not None:
            return copy
        found = await self._at_the_truth(item)
        if found is not None:
            with suppress(EngineError):
                await self.copies.keep(found, self._life_s())
        return found

    async def write(self, item: Item, version: int) -> bool:
        changed = await self.catalogue.change(item, version)
        if changed:
            with suppress(EngineError):
                await self.copies.keep(item, self._life_s())
        return changed
