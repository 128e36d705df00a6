"""What the timeline stands on: the truth in PostgreSQL, feeds and copies in Redis, work in line in NATS."""

from __future__ import annotations

import re
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from functools import cached_property
from importlib import resources

from fathom.engines.nats import Nats
from fathom.engines.postgres import Postgres
from fathom.engines.redis import Redis
from fathom.errors import FathomError, Refusal

from .accounts import Accounts
from .boosts import Boosts
from .chores import Chores
from .deliveries import Deliveries
from .feeds import Feeds
from .generations import Generations
from .grants import Grants
from .graph import Graph
from .latest import Latest
from .likes import Likes
from .memory import Memory
from .notices import Told
from .numbers import Numbers
from .outbox import Outbox
from .people import Those
from .posts import Posts
from .progress import Progress
from .seat import Seat
from .standby import Standby
from .threads import Threads
from .trends import Trends

__all__ = ["Stores"]

MIGRATING = 7_401_001  # an advisory lock: the number only has to be ours


@dataclass
class Stores:
    """The engines, and the nouns that lie in them."""

    truth: Postgres
    cache: Redis
    queue: Nats

    @cached_property
    def seat(self) -> Seat:
        return Seat(self.truth)

    @cached_property
    def accounts(self) -> Accounts:
        return Accounts(self.truth)

    @cached_property
    def posts(self) -> Posts:
        return Posts(self.truth, self.memory, self.likes)

    @cached_property
    def likes(self) -> Likes:
        return Likes(self.truth, self.notices)

    @cached_property
    def trends(self) -> Trends:
        return Trends(self.truth, self.memory, self.likes)

    @cached_property
    def graph(self) -> Graph:
        return Graph(self.truth, self.likes, self.notices)

    @cached_property
    def latest(self) -> Latest:
        return Latest(self.truth, self.likes)

    @cached_property
    def numbers(self) -> Numbers:
        return Numbers(self.truth)

    @cached_property
    def progress(self) -> Progress:
        return Progress()

    @cached_property
    def boosts(self) -> Boosts:
        return Boosts(self.truth, self.likes)

    @cached_property
    def threads(self) -> Threads:
        return Threads(self.truth, self.likes)

    @cached_property
    def people(self) -> Those:
        return Those(self.truth)

    @cached_property
    def notices(self) -> Told:
        return Told(self.truth)

    @cached_property
    def grants(self) -> Grants:
        return Grants(self.truth)

    @cached_property
    def generations(self) -> Generations:
        return Generations(self.truth)

    @cached_property
    def outbox(self) -> Outbox:
        return Outbox(self.truth)

    @cached_property
    def memory(self) -> Memory:
        return Memory(self.cache)

    @cached_property
    def standby(self) -> Standby:
        return Standby(self.graph, self.posts)

    @cached_property
    def feeds(self) -> Feeds:
        return Feeds(self.memory, self.chores)

    @cached_property
    def chores(self) -> Chores:
        return Chores(self.memory)

    @cached_property
    def deliveries(self) -> Deliveries:
        return Deliveries(self.queue)

    async def ready(self) -> dict[str, bool]:
        """Raise unless the truth answers and is ours: without Redis the timeline is slower, without it not there."""
        await self.truth.client.fetchval("SELECT 1", within_s=1.0)
        if self.seat.lost.is_set():
            raise Refusal("unavailable", "another service may have these data by now", retry_s=1.0)
        return {"degraded": not self.memory.readable}

    async def migrate(self) -> int:
        """Bring the schema up to date, one transaction a step; return its version. Safe to call at any time."""
        steps = _steps()
        async with self.truth.client.session(within_s=60.0) as session:
            await session.execute("SELECT pg_advisory_lock($1)", MIGRATING)
            try:
                await session.execute(
                    "CREATE TABLE IF NOT EXISTS migrations (version integer PRIMARY KEY, name text NOT NULL)"
                )
                version = await session.fetchval("SELECT coalesce(max(version), 0) FROM migrations")
                if version > len(steps):
                    raise FathomError(
                        f"these data have schema version {version}",
                        why=f"this Fathom knows versions up to {len(steps)}: a newer one has used them",
                        fix="use that newer Fathom, or restore a backup made before it",
                    )
                for number, (name, script) in enumerate(steps[version:], version + 1):
                    await session.execute(
                        f"BEGIN; {script}; INSERT INTO migrations VALUES ({number}, '{name}'); COMMIT"
                    )
            finally:
                await session.execute("SELECT pg_advisory_unlock($1)", MIGRATING)
        return len(steps)

    def alone(self, within_s: float = 10.0) -> AbstractAsyncContextManager[None]:
        """Be the one service on these data for the length of a block."""
        return self.seat.kept(within_s)


def _steps() -> list[tuple[str, str]]:
    """Return the migrations in order: 0001_first.sql, 0002_…"""
    files = sorted(
        (file for file in resources.files(__name__).joinpath("migrations").iterdir() if file.name.endswith(".sql")),
        key=lambda file: file.name,
    )
    steps: list[tuple[str, str]] = []
    for number, file in enumerate(files, 1):
        if not re.fullmatch(rf"{number:04d}_[a-z_]+\.sql", file.name):
            raise ValueError(f"{file.name} is not the migration number {number}")
        steps.append((file.name.removesuffix(".sql"), file.read_text(encoding="utf-8")))
    return steps
