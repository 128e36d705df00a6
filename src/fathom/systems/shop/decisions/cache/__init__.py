"""Items are read a thousand times as often as they change: what keeps their copies right when they do?

The truth is PostgreSQL, and what an order costs is read there. A copy in Redis may be old, or gone; `late_s` says for
how long an approach may show an old one.
"""

from __future__ import annotations

import asyncio
import random
from abc import abstractmethod
from collections.abc import Awaitable, Callable
from typing import Any

from fathom.design import Decision, knob
from fathom.engines.engine import EngineError

from ...api import Item, ItemId
from ...stores.catalogue import Catalogue
from ...stores.copies import Copies

__all__ = ["Cache"]

AT_ONCE = 8  # items that one process reads from the truth at a time: without copies all the readers come there


class Cache(Decision):
    """How items are read and written through a cache. Without it everything is read from the truth, and is right."""

    default = "lease"

    catalogue: Catalogue
    copies: Copies

    ttl_s: float = knob(300.0, "seconds after which a copy is made anew, give or take a tenth")

    def __post_init__(self) -> None:
        self._flights: dict[ItemId, asyncio.Task[Item | None]] = {}
        self._turns = asyncio.Semaphore(AT_ONCE)

    @property
    def late_s(self) -> float:
        """The promise: an item that was changed so long ago is never shown as it was before."""
        return 1.1 * self.ttl_s

    @abstractmethod
    async def read(self, item: ItemId) -> Item | None:
        """Return an item; None: there is none."""

    @abstractmethod
    async def write(self, item: Item, version: int) -> bool:
        """Let an item be this if it is still at `version`; say whether it was."""

    async def begin(self) -> None:
        """Get ready to serve whatever an approach before this one left in the cache."""

    async def flush(self) -> None:
        """Bring to the truth what is only here."""

    async def end(self) -> None:
        """Let go of what runs beside the calls; what waits to be carried over waits for the next to begin."""

    async def adopt(self, previous: Any) -> None:
        """Take over under load: copies that another approach made are not believed."""
        await previous.flush()
        await self.copies.forget()

    def _life_s(self) -> float:
        """Return how long a copy lives: those that were made together do not all end together."""
        return self.ttl_s * random.uniform(0.9, 1.1)

    async def _at_the_truth(self, item: ItemId) -> Item | None:
        async with self._turns:
            return await self.catalogue.item(item)

    async def _alone(self, item: ItemId, make: Callable[[], Awaitable[Item | None]]) -> Item | None:
        """Have one caller of this process do something for an item, and all who come meanwhile wait for the next time.

        What was begun before somebody came may have been read before a change that they know of.
        """
        before = self._flights.get(item)
        if before is not None:
            await asyncio.wait([before])
        flight = self._flights.get(item)
        if flight is None:
            flight = asyncio.ensure_future(make())  # its own task: whoever was first may give up
            self._flights[item] = flight
            flight.add_done_callback(lambda done: self._landed(item, done))
        return await asyncio.shield(flight)

    def _landed(self, item: ItemId, flight: asyncio.Task[Item | None]) -> None:
        if self._flights.get(item) is flight:
            del self._flights[item]
        if not flight.cancelled():
            flight.exception()  # seen, also if nobody waits any more

    async def _copied(self, item: ItemId) -> Item | None:
        """Return the copy; None: there is none, or nobody to ask for it."""
        try:
            return await self.copies.get(item)
        except EngineError:
            return None
