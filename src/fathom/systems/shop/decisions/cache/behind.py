"""Write the copy, say that it is done, and write the truth later: a control, for what was said may never come true."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from fathom.design import knob
from fathom.engines.engine import EngineError
from fathom.errors import Refusal

from ... import laws
from ...api import Item, ItemId
from . import Cache


class Behind(Cache):
    """Changes wait in Redis until somebody carries them over; a Redis that is wiped has never heard of them."""

    breaks = laws.no_change_of_an_item_is_lost

    flush_s: float = knob(0.5, "seconds after which changes are carried over to the truth")

    def __post_init__(self) -> None:
        super().__post_init__()
        self._one_at_a_time = asyncio.Lock()
        self._carrying: asyncio.Task[None] | None = None

    async def read(self, item: ItemId) -> Item | None:
        if (copy := await self._copied(item)) is not None:
            return copy
        found = await self._at_the_truth(item)
        if found is not None:
            # It does not expire: a change that waits to be carried over may be nowhere else.
            await self.copies.keep_first(found)
        return found

    async def write(self, item: Item, version: int) -> bool:
        changed = await self.copies.change(item, version)
        if changed is None:
            if await self.read(item.id) is None:
                raise Refusal("not-found", "there is no such item")
            changed = await self.copies.change(item, version)
        if changed and (self._carrying is None or self._carrying.done()):
            self._carrying = asyncio.create_task(self._carry(), name="changes on their way to the truth")
        return bool(changed)

    async def _carry(self) -> None:
        while True:
            await asyncio.sleep(self.flush_s)  # so many changes of an item become one
            with suppress(EngineError):  # later, then
                await self.flush()
                return

    async def end(self) -> None:
        if self._carrying is not None:
            self._carrying.cancel()
            await asyncio.wait([self._carrying])

    async def flush(self) -> None:
        async with self._one_at_a_time:
            for item in await self.copies.waiting():
                known = await self.catalogue.item(item.id)
                version = item.version if known is None else known.version
                by = item.version - version
                if by <= 0 or await self.catalogue.change(item, version, by=by):
                    await self.copies.written(item, self._life_s())
