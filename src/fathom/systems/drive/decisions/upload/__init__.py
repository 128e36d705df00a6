"""How many packs does a device give at once: one after the other, a few, or as many as it can?"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

from fathom.design import Decision

__all__ = ["Upload"]


class Upload(Decision):
    """What a space tells its devices. A pack is up to 16 MiB of chunks, proven and on the disk when it is answered."""

    default = "four"

    @abstractmethod
    def packs(self) -> int:
        """Return how many are under way at once."""

    async def adopt(self, previous: Any) -> None:
        """Take over: a device asks anew for each of its uploads."""
