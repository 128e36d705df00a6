"""A timeline on real engines: started once, and for each test an empty database, an empty Redis and an empty queue."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any

import asyncpg
import pytest_asyncio

from fathom.design import Choice
from fathom.engines.engine import EngineError
from fathom.engines.keeper import Keeper
from fathom.engines.nats import Nats
from fathom.engines.objects import Objects
from fathom.engines.postgres import Postgres
from fathom.engines.redis import Redis
from fathom.systems import find
from fathom.systems.timeline import service
from fathom.systems.timeline.stores import Stores
from fathom.web.auth import Passwords
from fathom.web.choices import Choices
from tests.systems.emptying import emptied, shape

__all__ = [
    "APPROACHES",
    "COUNTERS",
    "NUMBERINGS",
    "PAGINGS",
    "PROFILES",
    "RANKINGS",
    "SMALL",
    "STAMPEDE",
    "Clock",
    "Engines",
    "World",
    "engines",
    "world",
]

APPROACHES = ("on-write", "on-read", "hybrid", "lossy", "fifo")
RANKINGS = ("chronological", "engagement", "personal", "hybrid")
PROFILES = ("truth", "pinned")
PAGINGS = ("keyset", "offset", "time-cursor")
NUMBERINGS = ("snowflake", "sequence", "time-random")
# Everything that happens only to the large happens to these: floors, trims, several pieces, crossings.
SMALL: dict[str, dict[str, Any]] = {
    "on-write": {"cap": 8, "depth": 5, "chunk": 3},
    "on-read": {},
    "lossy": {"cap": 8, "depth": 5, "chunk": 3},
    "fifo": {"cap": 8, "depth": 5, "chunk": 3},
    "hybrid": {"cap": 8, "depth": 5, "chunk": 3, "fame": 3},
}


# Every way to count likes; the last one is a control that is only right while nobody else is there.
COUNTERS = ("row-lock", "sharded", "asynchronous", "on-read", "read-then-write")
# Every way to make anew what has gone out of date; the control first.
STAMPEDE = ("none", "jitter", "single-flight", "lease", "early-refresh")

MIGRATED = "migrated"  # the database that the others are copies of
FILL = "INSERT INTO trust DEFAULT VALUES; INSERT INTO counting DEFAULT VALUES"  # what migrating puts into it
# The machine does not lose power in these tests: what a killed PostgreSQL wrote, the kernel keeps. (What is on the disk
# by when is shown in tests/outside.)
QUICK = {"fsync": "off", "full_page_writes": "off", "max_wal_size": "4GB"}


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
        name = name or f"timeline_{next(self.count)}"
        await self._tell(f"CREATE DATABASE {name} TEMPLATE {template}")
        return self.truth.where.rsplit("/", 1)[0] + f"/{name}"

    async def put_back(self, url: str) -> None:
        """Empty a database for the next test."""
        if await emptied(url, self.shape, keeps=["migrations"], fill=FILL):
            self.empty.append(url)
        else:
            await self.drop(url)

    async def drop(self, url: str) -> None:
        await self._tell(f"DROP DATABASE {url.rpartition('/')[2]} WITH (FORCE)")

    async def _tell(self, statement: str) -> None:
        connection = await asyncpg.connect(self.truth.where)
        try:
            await connection.execute(statement)
        finally:
            await connection.close()


class World:
    """One test's timeline: its stores, and services that are opened on them."""

    def __init__(self, engines: Engines, stores: Stores, clock: Clock) -> None:
        self.engines, self.stores, self.clock = engines, stores, clock
        self.system = find("timeline")
        self.choices: Any = None

    @asynccontextmanager
    async def open(
        self,
        approach: str = "on-write",
        knobs: Mapping[str, Any] | None = None,
        *,
        seed: Callable[[Stores, Any], object] = lambda stores, fanout: None,
        paging: str = "keyset",
        ids: str = "snowflake",
        counters: str = "row-lock",
        stampede: str = "lease",
        ranking: str = "chronological",
        profiles: str = "truth",
        turned: Mapping[str, Any] | None = None,
        **more: Any,
    ) -> AsyncIterator[service.Service]:
        """Open a service, as a process would that begins now: nothing is remembered but what the engines hold.

        `seed` may put a bug into the stores or the approach beforehand. `turned` are knobs of the other decisions.
        """
        self.stores = replace(self.stores)
        chosen = {"fanout": Choice(approach, dict(knobs or {})), "paging": Choice(paging), "ids": Choice(ids)}
        others = {"counters": counters, "stampede": stampede, "ranking": ranking, "profiles": profiles}
        for name, other in others.items():
            known = self.system.decision(name).approach(other).knobs()
            chosen[name] = Choice(other, {knob: value for knob, value in (turned or {}).items() if knob in known})
        self.choices = Choices(self.system, self.stores, chosen)
        seed(self.stores, self.choices.fanout)
        more.setdefault("passwords", Passwords(passes=1, memory_kib=8))
        async with service.open(self.stores, self.choices, **more) as opened:
            yield opened

    def urls(self) -> dict[str, str]:
        """Return where its engines are, for another process."""
        return {name: getattr(self.stores, name).where for name in ("truth", "cache", "queue", "files")}

    async def switch(self, approach: str, knobs: Mapping[str, Any] | None = None, *, decision: str = "fanout") -> None:
        await self.choices.switch(decision, Choice(approach, dict(knobs or {})))

    async def town(self, timeline: Any, *names: str) -> list[Any]:
        """Have people join; return their ids."""
        return [(await timeline.join(name, "a password")).id for name in names]


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def engines() -> AsyncIterator[Engines]:
    async with (
        Keeper.open() as keeper,
        Postgres.start(keeper, settings=QUICK) as truth,
        Redis.start(keeper) as cache,
        Nats.start(keeper) as queue,
    ):
        engines = Engines(keeper, truth, cache, queue)
        first = Postgres.at(await engines.database("template0", MIGRATED))
        async with first.connected():
            await Stores(first, cache, queue, Objects.at("file:///")).migrate()
        engines.shape = await shape(first.where)
        yield engines


@pytest_asyncio.fixture(loop_scope="session")
async def world(engines: Engines) -> AsyncIterator[World]:
    url = engines.empty.pop() if engines.empty else await engines.database()
    async with AsyncExitStack() as stack:
        truth = Postgres.at(url)
        cache, queue = Redis.at(engines.cache.where), Nats.at(engines.queue.where)
        files = await stack.enter_async_context(Objects.start(engines.keeper, name="files"))
        for engine in (truth, cache, queue, files):
            await stack.enter_async_context(engine.connected())
        await cache.client("FLUSHALL")
        with suppress(EngineError):  # the first test: there is none yet
            await queue.client.purge("timeline")
        yield World(engines, Stores(truth, cache, queue, files), Clock())
    with suppress(OSError, asyncpg.PostgresError):  # the test may have left it without its engine
        await engines.put_back(url)
