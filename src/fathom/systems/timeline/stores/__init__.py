"""What the timeline stands on: the truth in PostgreSQL, feeds in Redis, work in line in NATS, pictures as objects."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from functools import cached_property

from fathom.engines.nats import Nats
from fathom.engines.objects import Objects
from fathom.engines.postgres import Postgres
from fathom.engines.redis import Redis
from fathom.engines.schema import migrate, steps
from fathom.errors import Refusal

from .accounts import Accounts
from .blobs import Blobs
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
from .merged import MergedPages
from .notices import Told
from .numbers import Numbers
from .orders import Orders
from .outbox import Outbox
from .people import Those
from .posts import Posts
from .profiles import ProfileCopies
from .progress import Progress
from .seat import Seat
from .standby import Standby
from .threads import Threads
from .trends import Trends
from .uploads import Uploads

__all__ = ["Stores"]

MIGRATING = 7_401_001  # an advisory lock: the number only has to be ours


@dataclass
class Stores:
    """The engines, and the nouns that lie in them."""

    truth: Postgres
    cache: Redis
    queue: Nats
    files: Objects

    @cached_property
    def seat(self) -> Seat:
        return Seat(self.truth)

    @cached_property
    def accounts(self) -> Accounts:
        return Accounts(self.truth)

    @cached_property
    def uploads(self) -> Uploads:
        return Uploads(self.truth)

    @cached_property
    def blobs(self) -> Blobs:
        return Blobs(self.truth, self.files)

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
    def orders(self) -> Orders:
        return Orders(self.truth, self.memory)

    @cached_property
    def progress(self) -> Progress:
        return Progress()

    @cached_property
    def boosts(self) -> Boosts:
        return Boosts(self.truth, self.likes)

    @cached_property
    def threads(self) -> Threads:
        return Threads(self.truth, self.likes, self.uploads)

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
    def merged(self) -> MergedPages:
        return MergedPages(self.memory)

    @cached_property
    def profiles(self) -> ProfileCopies:
        return ProfileCopies(self.memory)

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
        return await migrate(self.truth.client, steps(__name__), MIGRATING)

    def alone(self, within_s: float = 10.0) -> AbstractAsyncContextManager[None]:
        """Be the one service on these data for the length of a block."""
        return self.seat.kept(within_s)
