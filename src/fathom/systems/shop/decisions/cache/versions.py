"""Write the truth, then a copy that knows its version: no older one is put over a newer one, by nobody."""

from __future__ import annotations

from contextlib import suppress

from fathom.engines.engine import EngineError

from ...api import Item, ItemId
from . import Cache


class Versions(Cache):
    """Closes the race of readers and writers; a writer that dies between the two leaves the old copy its life."""

    async def read(self, item: ItemId) -> Item | None:
        if (copy := await self._copied(item)) is not None:
            return copy
        return await self._alone(item, lambda: self._make(item))

    async def _make(self, item: ItemId) -> Item | None:
        found = await self._at_the_truth(item)
        if found is not None:
            with suppress(EngineError):
                await self.copies.keep_newer(found, self._life_s())
        return found

    async def write(self, item: Item, version: int) -> bool:
        changed = await self.catalogue.change(item, version)
        if changed:
            with suppress(EngineError):
                await self.copies.keep_newer(item, self._life_s())
        return changed
