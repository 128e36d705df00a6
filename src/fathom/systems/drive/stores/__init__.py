"""What the drive stands on: the truth in PostgreSQL, packs of chunks as objects, and copies of metadata in Redis.

And, where somebody wants to hear of what happens, a stream of events in NATS: no drive needs it to serve.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import cached_property

from fathom.engines.engine import EngineError
from fathom.engines.objects import Objects
from fathom.engines.postgres import Postgres
from fathom.engines.redis import Redis
from fathom.engines.schema import migrate, steps
from fathom.errors import FathomError

from .accounts import Accounts
from .chunks import Chunks
from .copies import Copies
from .events import Events
from .journal import Journal
from .marks import Marks
from .nodes import Nodes
from .packs import Packs
from .properties import Properties
from .queue import Queue
from .sessions import Sessions
from .shards import Shards
from .spaces import Spaces
from .sums import Sums
from .unused import Unused
from .versions import Versions

__all__ = ["Stores"]

MIGRATING, SERVING = 7_403_001, 7_403_002  # advisory locks: the numbers only have to be ours
POLL_S = 0.05


@dataclass
class Stores:
    """The engines, and the nouns that lie in them."""

    truth: Postgres
    files: Objects
    cache: Redis
    queue: Queue | None = None

    @cached_property
    def shards(self) -> Shards:
        return Shards(self.truth, {"truth": self.truth})

    @cached_property
    def accounts(self) -> Accounts:
        return Accounts(self.truth)

    @cached_property
    def spaces(self) -> Spaces:
        return Spaces(self.shards)

    @cached_property
    def nodes(self) -> Nodes:
        return Nodes(self.shards)

    @cached_property
    def versions(self) -> Versions:
        return Versions(self.shards)

    @cached_property
    def journal(self) -> Journal:
        return Journal(self.shards)

    @cached_property
    def marks(self) -> Marks:
        return Marks(self.shards)

    @cached_property
    def events(self) -> Events:
        """The stream of events, in a drive that has one."""
        assert self.queue is not None
        return Events(self.queue)

    @cached_property
    def copies(self) -> Copies:
        return Copies(self.cache)

    @cached_property
    def chunks(self) -> Chunks:
        return Chunks(self.shards)

    @cached_property
    def packs(self) -> Packs:
        return Packs(self.shards, self.files)

    @cached_property
    def sessions(self) -> Sessions:
        return Sessions(self.shards)

    @cached_property
    def properties(self) -> Properties:
        return Properties(self.shards)

    @cached_property
    def unused(self) -> Unused:
        return Unused(self.shards)

    @cached_property
    def sums(self) -> Sums:
        return Sums(self.shards, self.files)

    async def ready(self) -> dict[str, bool]:
        """Raise unless the truth and the object store answer: a drive can do nothing without. Copies it can."""
        await self.truth.client.fetchval("SELECT 1", within_s=1.0)
        await self.files.ping()
        return {}

    async def migrate(self) -> int:
        """Bring the schema up to date, one transaction a step; return its version. Safe to call at any time."""
        return await migrate(self.truth.client, steps(__name__), MIGRATING)

    @asynccontextmanager
    async def alone(self, within_s: float = 10.0) -> AsyncIterator[None]:
        """Be the one service on these data for the length of a block; raise when another is.

        It keeps a second service from being started by mistake, with other choices. Nothing hangs on it: all that two
        could do to each other is decided by locks of PostgreSQL, so one that lost its seat with its connection harms
        nobody.
        """
        async with self.truth.client.session() as session:
            until = asyncio.get_running_loop().time() + within_s
            while not await session.fetchval("SELECT pg_try_advisory_lock($1)", SERVING):
                if asyncio.get_running_loop().time() >= until:
                    raise FathomError(
                        "another drive serves these data",
                        why=f"it has held their lock for the last {within_s:g} s",
                        fix="stop it, or give this one its own database",
                    )
                await asyncio.sleep(POLL_S)  # the lock of another session gives no sign
            try:
                yield
            finally:
                with suppress(EngineError):  # then the lock is gone with its connection
                    await session.execute("SELECT pg_advisory_unlock($1)", SERVING)
