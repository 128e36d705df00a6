"""What one does with each kind of engine, in the same words: write a number so that it lasts, read which are there."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

from fathom.engines.engine import Engine, EngineDown, EngineError, EngineUnknown
from fathom.engines.keeper import Keeper
from fathom.engines.nats import Nats
from fathom.engines.objects import Objects
from fathom.engines.postgres import Postgres
from fathom.engines.redis import Redis, RedisError
from fathom.systems.kv.service.founding import found
from fathom.systems.kv.stores.nodes import Node

Counts = Mapping[str, int]


class Use:
    """One kind of engine, and how its client is asked."""

    engine: type[Engine]
    says: str  # what its version begins with
    dead: str  # the URL of one that is not there, with a password in it
    mortal = True  # it can be killed and paused

    @property
    def kind(self) -> str:
        return self.engine.kind

    def start(
        self, keeper: Keeper, *, name: str = "", folder: Path | None = None, cores: set[int] | None = None
    ) -> AbstractAsyncContextManager[Any]:
        return self.engine.start(keeper, name=name or self.kind, folder=folder, cores=cores)

    def connected(self, engine: Engine, deadline_s: float = 5.0) -> AbstractAsyncContextManager[Any]:
        return engine.connected(deadline_s=deadline_s)  # pyright: ignore[reportCallIssue]

    async def prepare(self, client: Any) -> None:
        """Make whatever numbers are kept in."""

    async def write(self, client: Any, number: int) -> None:
        """Write a number; when this returns it is acknowledged."""
        raise NotImplementedError

    async def read(self, client: Any) -> set[int]:
        """Return the numbers that are there."""
        raise NotImplementedError

    def counted(self, ours: Counts, before: Counts, after: Counts) -> tuple[int, int]:
        """Return how much work we counted, and how much of the same the engine did."""
        raise NotImplementedError

    def __str__(self) -> str:
        return self.kind


class UsePostgres(Use):
    engine, says = Postgres, "PostgreSQL 18."
    dead = "postgresql://ann:s3cret@127.0.0.1:1/shop"

    async def prepare(self, client: Any) -> None:
        await client.execute("CREATE TABLE IF NOT EXISTS numbers (n bigint PRIMARY KEY)")

    async def write(self, client: Any, number: int) -> None:
        await client.execute("INSERT INTO numbers VALUES ($1)", number)

    async def read(self, client: Any) -> set[int]:
        return {row["n"] for row in await client.fetch("SELECT n FROM numbers")}

    def counted(self, ours: Counts, before: Counts, after: Counts) -> tuple[int, int]:
        return ours["rows"], after["tup_inserted"] - before["tup_inserted"]


class UseRedis(Use):
    engine = Redis
    says = ""  # Redis or Valkey
    dead = "redis://:s3cret@127.0.0.1:1/0"

    async def write(self, client: Any, number: int) -> None:
        await client("SET", f"number:{number}", "here")

    async def read(self, client: Any) -> set[int]:
        return {int(key.rpartition(b":")[2]) for key in await client("KEYS", "number:*")}

    def counted(self, ours: Counts, before: Counts, after: Counts) -> tuple[int, int]:
        return ours["commands"], after["cmd.set"] - before.get("cmd.set", 0)


class UseNats(Use):
    engine, says = Nats, "NATS 2."
    dead = "nats://ann:s3cret@127.0.0.1:1"

    async def prepare(self, client: Any) -> None:
        await client.stream("numbers", ["numbers"], work=False)

    async def write(self, client: Any, number: int) -> None:
        await client.publish("numbers", str(number).encode(), id=str(number))

    async def read(self, client: Any) -> set[int]:
        return {int(body) async for body in client.everything("numbers")}

    def counted(self, ours: Counts, before: Counts, after: Counts) -> tuple[int, int]:
        return ours["messages"], after["stored"] - before["stored"]


class UseObjects(Use):
    engine, says = Objects, "a folder"
    dead = "s3://shop/x?endpoint=http://127.0.0.1:1&access_key_id=ann&secret_access_key=s3cret&region=here"
    mortal = False

    async def write(self, client: Any, number: int) -> None:
        await client.put(f"numbers/{number}", b"here")

    async def read(self, client: Any) -> set[int]:
        return {int(key.rpartition("/")[2]) for key in await client.list("numbers")}

    def counted(self, ours: Counts, before: Counts, after: Counts) -> tuple[int, int]:
        return ours["objects"], after["held"] - before["held"]


class UseKv(Use):
    """A node of the key-value store, alone in its cluster."""

    engine, says = Node, "Fathom kv "
    dead = "redis://:s3cret@127.0.0.1:1/0"

    async def prepare(self, client: Any) -> None:
        await found([client])

    async def write(self, client: Any, number: int) -> None:
        try:
            await client("SET", f"number:{number}", "here")
        except RedisError as refused:  # it has just begun, and knows no cluster yet
            raise (EngineUnknown if "unknown outcome" in str(refused) else EngineDown)(
                "it was refused", why=str(refused), fix="ask again"
            ) from None

    async def read(self, client: Any) -> set[int]:
        found, cursor = set[int](), b"0"
        while True:
            cursor, keys = await client("SCAN", cursor, "COUNT", 1_000)
            found |= {int(key.rpartition(b":")[2]) for key in keys}
            if cursor == b"0":
                return found

    def counted(self, ours: Counts, before: Counts, after: Counts) -> tuple[int, int]:
        return ours["commands"], after["cmd"] - before["cmd"] - 5  # a look costs five


EVERY = [UsePostgres(), UseRedis(), UseNats(), UseObjects(), UseKv()]
MORTAL = [use for use in EVERY if use.mortal]


@asynccontextmanager
async def in_use(use: Use, keeper: Keeper, **start: Any) -> AsyncIterator[tuple[Any, Any]]:
    """Start an engine, connect, and make ready to write numbers; yields the engine and its client."""
    async with use.start(keeper, **start) as engine, use.connected(engine) as client:
        await use.prepare(client)
        yield engine, client


async def healed(use: Use, client: Any, number: int) -> None:
    """Write a number as soon as the client has found the engine again."""
    for _ in range(2_000):
        try:
            return await use.write(client, number)
        except EngineError as fault:
            last = fault
            if hasattr(client, "wait_up"):
                await client.wait_up(10.0)
    raise AssertionError(f"the client did not find the engine again: {last}")
