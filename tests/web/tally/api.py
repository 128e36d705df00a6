"""Counts things by name."""

from __future__ import annotations

from typing import Protocol


class Tally(Protocol):
    """What a client can ask."""

    async def count(self, name: str) -> int:
        """Count one more."""
        ...

    async def migrations(self) -> int:
        """Return how often this service's stores were migrated."""
        ...

    async def late(self) -> None:
        """Count something a little later, after this call has been answered."""
        ...

    async def settled(self) -> None: ...
