"""One at a time for each key: the others wait in line."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Hashable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager

__all__ = ["Turns"]


class Turns:
    """Locks by key that exist only while somebody holds or awaits them."""

    def __init__(self) -> None:
        self._locks: dict[Hashable, tuple[asyncio.Lock, int]] = {}

    @asynccontextmanager
    async def of(self, key: Hashable) -> AsyncIterator[None]:
        """Wait for one's turn, and keep it for the length of a block."""
        lock, users = self._locks.get(key) or (asyncio.Lock(), 0)
        self._locks[key] = (lock, users + 1)
        try:
            async with lock:
                yield
        finally:
            _, users = self._locks[key]
            if users == 1:
                del self._locks[key]
            else:
                self._locks[key] = (lock, users - 1)

    @asynccontextmanager
    async def of_all(self, keys: Iterable[int]) -> AsyncIterator[None]:
        """Wait for several turns, in the order of their keys, so that two who want the same never wait for each other.

        Nobody may wait for another turn while they have one.
        """
        async with AsyncExitStack() as stack:
            for key in sorted(keys):
                await stack.enter_async_context(self.of(key))
            yield
