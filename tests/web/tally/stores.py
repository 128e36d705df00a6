"""One number a name, in Redis."""

from __future__ import annotations

from dataclasses import dataclass, field

from fathom.engines.redis import Redis


@dataclass
class Stores:
    cache: Redis
    migrated: int = field(default=0, init=False)

    async def migrate(self) -> None:
        self.migrated += 1

    async def count(self, name: str) -> int:
        return await self.cache.client("INCR", name)
