"""The drive's NATS: one that may be gone, also when a drive begins, and that services of the operator's own read."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from fathom.engines.broker import Broker
from fathom.engines.nats import Nats, OwnNats

if TYPE_CHECKING:
    from fathom.engines.keeper import Keeper

__all__ = ["Queue"]


class Queue(Nats):
    """A NATS that no drive waits for: what it is to be told waits for it."""

    @classmethod
    def at(cls, url: str) -> Queue:
        return cls(url)

    @classmethod
    @asynccontextmanager
    async def start(cls, keeper: Keeper, *, name: str = "queue", **how: Any) -> AsyncIterator[OwnNats]:
        """Start one of our own, where people come who read what is told."""
        async with super().start(keeper, name=name, **how) as own:
            own.has_door = True
            yield own

    @asynccontextmanager
    async def connected(self, *, deadline_s: float = 5.0, patient: bool = True) -> AsyncIterator[Broker]:
        """Connect a Broker for the length of a block, as soon as there is something to connect to."""
        async with super().connected(deadline_s=deadline_s, patient=patient) as broker:
            yield broker
