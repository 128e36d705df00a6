"""A drive on real engines: started once, and for each test a fresh database and an empty object store."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any

import asyncpg
import msgspec
import pytest_asyncio

from fathom.blocks.packs import digest_of, pack
from fathom.design import Choice
from fathom.engines.keeper import Keeper
from fathom.engines.nats import Nats
from fathom.engines.objects import Objects
from fathom.engines.postgres import Postgres
from fathom.engines.redis import Redis
from fathom.systems import find
from fathom.systems.drive import service
from fathom.systems.drive.api import PACKS, POLL_S, Chunk, Digest, Manifest, SpaceId, UserId
from fathom.systems.drive.model import CUTTING
from fathom.systems.drive.service import Rules
from fathom.systems.drive.stores import Stores
from fathom.systems.drive.stores.events import STREAM, Event, Events
from fathom.systems.drive.stores.queue import Queue
from fathom.web.auth import Passwords

__all__ = ["RULES", "Clock", "Engines", "Somebody", "Stream", "World", "engines", "manifest", "piece", "world"]

DRIVE = find("drive")
MIGRATED = "drive_migrated"  # the database that the others are copies of
EMPTY = "; ".join(
    f"DELETE FROM {table}"
    for table in ("tokens", "uses", "users", "spaces", "nodes", "versions", "parts", "journal", "done", "packs",
                  "chunks", "sessions", "leases", "properties")
)  # fmt: skip
# The machine does not lose power in these tests: what a killed PostgreSQL wrote, the kernel keeps.
QUICK = {"fsync": "off", "full_page_writes": "off", "max_wal_size": "4GB"}
RULES = Rules(quota=1_000_000, grace_ms=1_000, every_s=3_600.0)  # the collector works when a test says so


class Clock:
    """Time that stands still until it is told to go on, and ids by it: each body mints the same at the same time."""

    def __init__(self, now_ms: int = 1_800_000_000_000) -> None:
        self.now_ms = now_ms

    def __call__(self) -> int:
        return self.now_ms

    def mint(self) -> Callable[[], int]:
        """Return a body's own mint."""
        last = [0, 0]

        def mint() -> int:
            last[:] = [self.now_ms, last[1] + 1 if last[0] == self.now_ms else 0]
            return (self.now_ms - 1_799_999_000_000) << 6 | last[1]

        return mint


class Choices:
    """What the decisions say, where a test does not ask about them: the same for all."""

    def __init__(self, stores: Stores, *, overwrites: bool = False, metadata: str = "invalidation") -> None:
        self.chunking = self.conflict = self.upload = self.notify = self.sharding = self
        self.serves = True
        self.how = "push"
        self.overwrites = overwrites
        self.metadata = DRIVE.decision("metadata").build(Choice(metadata), stores)

    def cutting(self, space: SpaceId) -> str:
        return CUTTING

    def packs(self) -> int:
        return PACKS

    def every_s(self) -> float:
        return POLL_S

    def admits(self, now: int, known: int) -> bool:
        return self.overwrites


@dataclass
class Engines:
    """One of each, and the pieces of them that a test gets."""

    keeper: Keeper
    truth: Any
    cache: Any
    stack: AsyncExitStack  # what is started for some tests only
    count: itertools.count[int] = field(default_factory=itertools.count)
    empty: list[str] = field(default_factory=list)  # databases that a test has used, and that were emptied since
    queue: Any = None

    async def nats(self) -> Any:
        """Return the NATS of those tests that have a stream of events: the first of them starts it."""
        if self.queue is None:
            self.queue = await self.stack.enter_async_context(Nats.start(self.keeper))
        return self.queue

    async def database(self, template: str = MIGRATED, name: str = "") -> str:
        """Return the URL of a fresh database."""
        name = name or f"drive_{next(self.count)}"
        await self._tell(f"CREATE DATABASE {name} TEMPLATE {template}")
        return self.truth.where.rsplit("/", 1)[0] + f"/{name}"

    async def drop(self, url: str) -> None:
        await self._tell(f"DROP DATABASE {url.rpartition('/')[2]} WITH (FORCE)")

    async def put_back(self, url: str) -> None:
        """Empty a database for the next test, which takes a tenth of the time that a new one does."""
        await self._tell(EMPTY, url)
        self.empty.append(url)

    async def _tell(self, statement: str, url: str | None = None) -> None:
        connection = await asyncpg.connect(url or self.truth.where)
        try:
            await connection.execute(statement)
        finally:
            await connection.close()


class World:
    """One test's drive: its stores, and services that are opened on them."""

    def __init__(self, engines: Engines, stores: Stores, clock: Clock) -> None:
        self.engines, self.stores, self.clock = engines, stores, clock

    @asynccontextmanager
    async def open(
        self,
        *,
        seed: Callable[[Stores], object] = lambda stores: None,
        overwrites: bool = False,
        metadata: str = "invalidation",
        **more: Any,
    ) -> AsyncIterator[service.Service]:
        """Open a service, as a process would that begins now; `seed` may put a bug into the stores beforehand."""
        self.stores = replace(self.stores)
        self.stores.copies.answer_s = 5.0  # a busy machine is no Redis that is gone
        seed(self.stores)
        more.setdefault("passwords", Passwords(passes=1, memory_kib=8))
        more.setdefault("rules", RULES)
        more.setdefault("clock", self.clock)
        choices = Choices(self.stores, overwrites=overwrites, metadata=metadata)
        async with service.open(self.stores, choices, **more) as opened:
            yield opened

    @asynccontextmanager
    async def telling(self) -> AsyncIterator[Stream]:
        """Have an empty stream for the length of a block: services that are opened in it tell events."""
        own = await self.engines.nats()
        before, queue = self.stores, Queue.at(own.where)
        async with queue.connected() as broker:
            await Events(queue).declare()
            await broker.purge(STREAM)
            self.stores = replace(before, queue=queue)
            try:
                yield Stream(own, broker)
            finally:
                self.stores = before

    def beside(self, drive: service.Service) -> service.Service:
        """Return a second service on the same data, which shares nothing with the first but these."""
        passwords, stores = drive._passwords, replace(self.stores)
        return service.Service(stores, Choices(stores), self.clock, None, passwords, drive._rules)

    @property
    def urls(self) -> dict[str, str]:
        """Where its engines are, for a service in a process of its own."""
        names = ("truth", "files", "cache", "queue")
        return {name: engine.where for name in names if (engine := getattr(self.stores, name)) is not None}

    async def objects(self) -> list[str]:
        """Return the keys of all objects."""
        return await self.stores.files.client.list("spaces")

    async def sql(self, query: str, *given: Any) -> Any:
        return await self.stores.truth.client.fetchval(query, *given)


class Stream:
    """The stream of events, and the NATS that has it."""

    def __init__(self, own: Any, broker: Any) -> None:
        self.own, self.broker, self.where = own, broker, own.where

    async def all(self) -> list[Event]:
        """Return all that was told."""
        return [msgspec.json.decode(body, type=Event) async for body in self.broker.everything(STREAM)]

    @asynccontextmanager
    async def away(self) -> AsyncIterator[None]:
        """Have NATS die, and come back with what it had on its disk when the block ends."""
        await self.own.kill()
        try:
            yield
        finally:
            await self.own.restart()
            await self.broker.wait_up(20.0)


class Somebody:
    """A user with a drive, who gives what is needed."""

    def __init__(self, drive: Any, user: UserId, space: SpaceId) -> None:
        self.drive, self.user, self.space = drive, user, space

    @classmethod
    async def joins(cls, drive: Any, name: str = "ann") -> Somebody:
        user = await drive.join(name, "a password")
        return cls(drive, user.id, (await drive.spaces(user.id))[0].id)

    def __getattr__(self, verb: str) -> Any:
        """Return a verb that is asked about one's own space."""

        async def ask(*args: Any, **named: Any) -> Any:
            return await getattr(self.drive, verb)(self.user, self.space, *args, **named)

        return ask

    async def give(self, session: Any, *chunks: bytes) -> list[Digest]:
        return await self.drive.give(self.user, session.id, pack(chunks))

    async def upload(self, *chunks: bytes) -> Any:
        """Begin a session with these chunks, and give what is needed; return the session."""
        session = await self.begin([piece(data) for data in chunks])
        missing = [data for data in chunks if piece(data).digest in session.needed]
        if missing:
            assert await self.give(session, *missing) == []
        return session

    async def do(self, *edits: Any, session: Any = None) -> Any:
        """Commit edits that are all to be done; return the nodes."""
        outcomes = await self.commit(list(edits), session.id if session else "")
        assert not any(it.code for it in outcomes), outcomes
        return [it.node for it in outcomes]


def piece(data: bytes) -> Chunk:
    return Chunk(Digest(digest_of(data).hex()), len(data))


def manifest(*chunks: bytes) -> Manifest:
    return Manifest(cutting=CUTTING, chunks=[piece(data) for data in chunks])


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def engines() -> AsyncIterator[Engines]:
    async with (
        Keeper.open() as keeper,
        Postgres.start(keeper, settings=QUICK) as truth,
        Redis.start(keeper, sync="no") as cache,
        AsyncExitStack() as stack,
    ):
        engines = Engines(keeper, truth, cache, stack)
        first = Postgres.at(await engines.database("template0", MIGRATED))
        async with first.connected():
            await Stores(first, Objects.at("file:///"), cache).migrate()
        yield engines


@pytest_asyncio.fixture(loop_scope="session")
async def world(engines: Engines) -> AsyncIterator[World]:
    url = engines.empty.pop() if engines.empty else await engines.database()
    async with AsyncExitStack() as stack:
        truth, cache = Postgres.at(url), Redis.at(engines.cache.where)
        files = await stack.enter_async_context(Objects.start(engines.keeper, name="files"))
        for engine in (truth, files, cache):
            await stack.enter_async_context(engine.connected())
        await cache.client("FLUSHALL")
        yield World(engines, Stores(truth, files, cache), Clock())
    with suppress(OSError, asyncpg.PostgresError):  # the test may have left it without its engine
        await engines.put_back(url)
