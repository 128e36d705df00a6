"""The request path of the tally."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from .stores import Stores


class Service:
    def __init__(self, stores: Stores) -> None:
        self._stores = stores
        self._later: set[asyncio.Task[int]] = set()

    async def count(self, name: str) -> int:
        return await self._stores.count(name)

    async def migrations(self) -> int:
        return self._stores.migrated

    async def late(self) -> None:
        task = asyncio.create_task(self._stores.count("late"))
        self._later.add(task)
        task.add_done_callback(self._later.discard)

    async def settled(self) -> None:
        await asyncio.gather(*self._later)


@asynccontextmanager
async def open(stores: Stores, choices: Any) -> AsyncIterator[Service]:
    yield Service(stores)
