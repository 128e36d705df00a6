"""Look in the cache, else read the truth and leave a copy; who changes an item takes its copy away."""

from __future__ import annotations

from contextlib import suppress

from fathom.engines.engine import EngineError

from ...api import Item, ItemId
from . import Cache


class Aside(Cache):
    """As most guides have it. Who reads before a change and leaves the copy after it leaves an old one."""

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
            with suppress(EngineError):  # then the copy stays for as long as it lives
                await self.copies.drop(item.id)
        return changed
