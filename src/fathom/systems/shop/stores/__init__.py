"""What the shop stands on: the truth in PostgreSQL, copies in Redis, work in NATS, pictures, and who takes money."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from fathom.engines.nats import Nats
from fathom.engines.objects import Objects
from fathom.engines.redis import Redis
from fathom.engines.schema import migrate, steps

from .accounts import Accounts
from .attempts import Attempts
from .carts import Carts
from .catalogue import Catalogue
from .changes import Changes
from .copies import Copies
from .jobs import JobRows
from .keys import Keys
from .locks import SeatLocks
from .orders import OrderRows
from .outbox import Outbox
from .phases import Phases
from .provider import Provider
from .remembered import Remembered
from .sagas import Sagas
from .seats import Seats
from .shelves import Shelves
from .streams import JobStream, JobSubjects
from .tallies import Tallies
from .truth import Truth
from .views import Views

__all__ = ["Stores"]

MIGRATING = 7_407_001  # an advisory lock: the number only has to be ours


@dataclass
class Stores:
    """The engines, and the nouns that lie in them."""

    truth: Truth
    cache: Redis
    queue: Nats
    files: Objects
    bank: Provider

    @cached_property
    def accounts(self) -> Accounts:
        return Accounts(self.truth)

    @cached_property
    def catalogue(self) -> Catalogue:
        return Catalogue(self.truth)

    @cached_property
    def carts(self) -> Carts:
        return Carts(self.truth)

    @cached_property
    def shelves(self) -> Shelves:
        return Shelves(self.truth)

    @cached_property
    def tallies(self) -> Tallies:
        return Tallies(self.cache, self.truth)

    @cached_property
    def orders(self) -> OrderRows:
        return OrderRows(self.truth)

    @cached_property
    def keys(self) -> Keys:
        return Keys(self.truth)

    @cached_property
    def remembered(self) -> Remembered:
        return Remembered(self.cache)

    @cached_property
    def attempts(self) -> Attempts:
        return Attempts(self.truth)

    @cached_property
    def sagas(self) -> Sagas:
        return Sagas(self.truth)

    @cached_property
    def phases(self) -> Phases:
        return Phases(self.truth)

    @cached_property
    def changes(self) -> Changes:
        return Changes(self.truth)

    @cached_property
    def views(self) -> Views:
        return Views(self.truth, self.outbox)

    @cached_property
    def outbox(self) -> Outbox:
        return Outbox(self.truth)

    @cached_property
    def seats(self) -> Seats:
        return Seats(self.truth)

    @cached_property
    def jobs(self) -> JobRows:
        return JobRows(self.truth)

    @cached_property
    def copies(self) -> Copies:
        return Copies(self.cache)

    @cached_property
    def locks(self) -> SeatLocks:
        return SeatLocks(self.cache)

    @cached_property
    def streams(self) -> JobStream:
        return JobStream(self.cache)

    @cached_property
    def subjects(self) -> JobSubjects:
        return JobSubjects(self.queue)

    async def ready(self) -> dict[str, bool]:
        """Raise unless the truth answers: a shop without it can neither show nor sell."""
        await self.truth.client.fetchval("SELECT 1", within_s=1.0)
        return {}

    async def migrate(self) -> int:
        """Bring the schema up to date, one transaction a step; return its version. Safe to call at any time."""
        return await migrate(self.truth.client, steps(__name__), MIGRATING)
