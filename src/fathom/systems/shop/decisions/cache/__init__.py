"""Items are read a thousand times as often as they change: what keeps their copies right when they do?"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

from fathom.design import Decision

from ...api import Item, ItemId
from ...stores.catalogue import Catalogue

__all__ = ["Cache"]


class Cache(Decision):
    """How items are read and written through a cache. The truth is never behind it, unless the approach says so."""

    default = "aside"

    catalogue: Catalogue

    @property
    def late_s(self) -> float:
        """The promise: an item that was changed so long ago is never shown as it was before."""
        return 0.0

    @abstractmethod
    async def read(self, item: ItemId) -> Item | None:
        """Return an item; None: there is none."""

    @abstractmethod
    async def write(self, item: Item, version: int) -> bool:
        """Let an item be this if it is still at `version`; say whether it was."""

    async def begin(self) -> None:
        """Get ready to serve whatever an approach before this one left in the cache."""

    async def adopt(self, previous: Any) -> None:
        """Take over under load: copies that another approach made are not believed."""
        await self.begin()
