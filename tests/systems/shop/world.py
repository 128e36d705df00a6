"""A shop on real engines: started once, and for each test a database of its own, an empty Redis and an empty queue."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any

import asyncpg
import pytest_asyncio

from fathom.design import Choice
from fathom.engines.keeper import Keeper
from fathom.engines.nats import Nats
from fathom.engines.objects import Objects
from fathom.engines.redis import Redis
from fathom.systems import find
from fathom.systems.shop import service
from fathom.systems.shop.api import Address, Basket, Item, ItemId, Money, NewItem, User, UserId, Wanted
from fathom.systems.shop.service import Rules
from fathom.systems.shop.stores import Stores
from fathom.systems.shop.stores.provider import Provider
from fathom.systems.shop.stores.provider.process import Spec
from fathom.systems.shop.stores.provider.process import opened as provider
from fathom.systems.shop.stores.truth import Truth
from fathom.web.auth import Passwords
from fathom.web.choices import Choices
from tests.systems.emptying import emptied, shape

__all__ = ["EUR", "HOME", "SHOP", "Clock", "Engines", "World", "basket", "engines", "world"]

SHOP = find("shop")
MIGRATED = "shop_migrated"  # the database that the others are copies of
# The machine does not lose power in these tests: what a killed PostgreSQL wrote, the kernel keeps.
QUICK = {"fsync": "off", "full_page_writes": "off", "max_wal_size": "4GB", "deadlock_timeout": "20ms"}
KEEPS = ["migrations", "transitions", "stock_kept"]  # what migrating puts into it
EUR = "EUR"
HOME = Address(name="Ann", street="Main Street 1", city="Kiel", postcode="24103", country="DE")


class Clock:
    """Time that stands still until it is told to go on, and ids by it: each body mints the same at the same time."""

    def __init__(self, now_ms: int = 1_800_000_000_000) -> None:
        self.now_ms = now_ms

    def __call__(self) -> int:
        return self.now_ms


@dataclass
class Engines:
    """One of each, and the pieces of them that a test gets."""

    keeper: Keeper
    truth: Any
    cache: Any
    queue: Any
    count: itertools.count[int] = field(default_factory=itertools.count)
    empty: list[str] = field(default_factory=list)  # databases that a test has used, and that were emptied since
    shape: tuple[int, ...] = ()

    async def database(self, template: str = MIGRATED, name: str = "") -> str:
        """Return the URL of a fresh database."""
        name = name or f"shop_{next(self.count)}"
        await self._tell(f"CREATE DATABASE {name} TEMPLATE {template}")
        return self.truth.where.rsplit("/", 1)[0] + f"/{name}"

    async def put_back(self, url: str) -> None:
        """Empty a database for the next test."""
        if await emptied(url, self.shape, keeps=KEEPS):
            self.empty.append(url)

    async def _tell(self, statement: str) -> None:
        connection = await asyncpg.connect(self.truth.where)
        try:
            await connection.execute(statement)
        finally:
            await connection.close()


class World:
    """One test's shop: its stores, and services that are opened on them."""

    def __init__(self, engines: Engines, stores: Stores, clock: Clock) -> None:
        self.engines, self.stores, self.clock = engines, stores, clock
        self.choices: Any = None

    @asynccontextmanager
    async def open(
        self,
        chosen: Mapping[str, str] | None = None,
        *,
        knobs: Mapping[str, str] | None = None,
        seed: Callable[[Stores, Any], object] = lambda stores, choices: None,
        **more: Any,
    ) -> AsyncIterator[service.Service]:
        """Open a service, as a process would that begins now: `chosen` are approaches by decision, the rest defaults.

        `seed` may put a bug into the stores or the approaches beforehand.
        """
        self.stores = replace(self.stores)
        self.choices = Choices(SHOP, self.stores, SHOP.choices(chosen or {}, knobs or {}))
        seed(self.stores, self.choices)
        more.setdefault("passwords", Passwords(passes=1, memory_kib=8))
        more.setdefault("clock", self.clock)
        more.setdefault("rules", Rules())
        async with service.open(self.stores, self.choices, **more) as opened:
            yield opened

    async def switch(self, decision: str, approach: str) -> None:
        await self.choices.switch(decision, Choice(approach, {}))

    async def users(self, n: int, *, staff: bool = False) -> list[UserId]:
        """Have people join who cannot log in, which costs no password."""
        first = await self.stores.accounts.last_id() + 4096
        users = [User(id=UserId(first + 4096 * at), email=f"{first + at}@example.org", staff=staff) for at in range(n)]
        await self.stores.accounts.bulk(users, self.clock())
        return [user.id for user in users]

    async def goods(self, shop: service.Service, *stock: int, price: int = 1_250) -> list[Item]:
        """Put items on sale, so many of each; the second costs twice as much as the first, and so on."""
        (keeper,) = await self.users(1, staff=True)
        items: list[Item] = []
        for n, units in enumerate(stock, 1):
            new = NewItem(name=f"thing {n}", price=Money(n * price, EUR), category="things")
            items.append(await shop.add_item(keeper, new))
            if units:
                await shop.receive(keeper, items[-1].id, units)
        return items

    async def sql(self, query: str, *given: Any) -> Any:
        return await self.stores.truth.client.fetchval(query, *given)


def basket(*wanted: tuple[ItemId, int], total: Money | None = None) -> Basket:
    return Basket(lines=[Wanted(item, quantity) for item, quantity in wanted], address=HOME, total=total)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def engines() -> AsyncIterator[Engines]:
    async with (
        Keeper.open() as keeper,
        Truth.start(keeper, settings=QUICK) as truth,
        Redis.start(keeper) as cache,
        Nats.start(keeper) as queue,
    ):
        engines = Engines(keeper, truth, cache, queue)
        first = Truth.at(await engines.database("template0", MIGRATED))
        async with first.connected():
            await Stores(first, cache, queue, Objects.at("file:///"), Provider.at("")).migrate()
        engines.shape = await shape(first.where)
        yield engines


@pytest_asyncio.fixture(loop_scope="session")
async def world(engines: Engines) -> AsyncIterator[World]:
    url = engines.empty.pop() if engines.empty else await engines.database()
    async with AsyncExitStack() as stack:
        truth = Truth.at(url)
        cache, queue = Redis.at(engines.cache.where), Nats.at(engines.queue.where)
        files = await stack.enter_async_context(Objects.start(engines.keeper, name="files"))
        # In this process: it is quick, and what a process of its own adds is shown where it is killed.
        folder = engines.keeper.data / f"bank-{next(engines.count)}"
        bank = Provider.at(await stack.enter_async_context(provider(Spec(folder=str(folder)))))
        for engine in (truth, cache, queue, files, bank):
            await stack.enter_async_context(engine.connected())
        await cache.client("FLUSHALL")
        yield World(engines, Stores(truth, cache, queue, files, bank), Clock())
    with suppress(OSError, asyncpg.PostgresError):  # the test may have left it without its engine
        await engines.put_back(url)
