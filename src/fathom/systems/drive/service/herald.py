"""Tells those who listen that a space has changed: what has, they read in its journal."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

from fathom.errors import Refusal

from ..api import SpaceId

__all__ = ["Herald", "Listener"]

LISTENERS_MAX = 5_000
SPACES_MAX = 1_000  # that one listens to


class Listener:
    """One who listens to some spaces, and takes the newest head of each: older ones are not worth telling."""

    def __init__(self) -> None:
        self._heads: dict[SpaceId, int] = {}
        self._told = asyncio.Event()
        self.left = False  # it is to be told nothing more

    def leave(self) -> None:
        """Have whoever waits for what is told wait no longer."""
        self.left = True
        self._told.set()

    def tell(self, space: SpaceId, head: int) -> None:
        if head > self._heads.get(space, 0):
            self._heads[space] = head
            self._told.set()

    async def next(self, within_s: float | None = None) -> dict[SpaceId, int]:
        """Return the spaces that have changed since, each with its head; nothing: none has for so long."""
        try:
            async with asyncio.timeout(within_s):
                await self._told.wait()
        except TimeoutError:
            return {}
        self._told.clear()
        heads, self._heads = self._heads, {}
        return heads


class Herald:
    """Knows who listens. It hears of the commits of this process, after each, and before it is acknowledged.

    What it tells is a hint: a commit whose answer was lost it may never hear of. Who listens asks now and then.
    """

    def __init__(self) -> None:
        self._listeners: dict[SpaceId, set[Listener]] = {}
        self._count = 0

    @asynccontextmanager
    async def listening(self, spaces: Iterable[SpaceId]) -> AsyncIterator[Listener]:
        """Let somebody listen to spaces, which they may use, for the length of a block."""
        known = set(spaces)
        if len(known) > SPACES_MAX:
            raise Refusal("invalid", f"at most {SPACES_MAX:,} spaces can be listened to at once")
        if self._count >= LISTENERS_MAX:
            raise Refusal("unavailable", "too many listen at once", retry_s=5.0)
        listener = Listener()
        self._count += 1
        for space in known:
            self._listeners.setdefault(space, set()).add(listener)
        try:
            yield listener
        finally:
            self._count -= 1
            for space in known:
                self._listeners[space].discard(listener)
                if not self._listeners[space]:
                    del self._listeners[space]

    def changed(self, space: SpaceId, head: int) -> None:
        for listener in self._listeners.get(space, ()):
            listener.tell(space, head)
