"""Rooms in engines that the user lends: every approach of a dive gets an empty one, and it is cleared afterwards.

A dive lets several approaches lay out the same data side by side. On engines of our own each has a set to itself; on a
user's own PostgreSQL it gets a database, on a Redis a numbered one that is empty, in an object store a prefix. What was
there before is neither read nor changed. A NATS has no such rooms without accounts, so a dive starts its own.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

from fathom.engines.engine import Engine
from fathom.engines.objects import Objects
from fathom.engines.postgres import Postgres
from fathom.engines.redis import Redis
from fathom.errors import FathomError

if TYPE_CHECKING:
    from fathom.lab.plan import Plan

__all__ = ["Lent", "check"]

DATABASES = 16  # a Redis has so many unless it was configured otherwise
OBJECTS_MAX = 10_000


def check(plan: Plan, urls: Mapping[str, str], fields: Mapping[str, type[Engine]]) -> None:
    """Refuse, before anything starts, what a dive must not do to an engine that is not ours, or cannot do on it."""
    if "nats" in urls:
        raise FathomError(
            "a dive needs a NATS of its own",
            why="its approaches run side by side, and the streams of a NATS have one name for all",
            fix="leave nats out of --engine and fathom.toml; fathom up can use yours",
        )
    for fault in plan.faults:
        kind = fields.get(fault.target)
        if kind is not None and kind.kind in urls:
            raise FathomError(
                f"the dive {plan.name} breaks {fault.target}, and that is your own {kind.kind}",
                why=f"it would be a {fault}, and Fathom ends only what it has started",
                fix=f"leave {kind.kind} out of --engine and fathom.toml for this dive",
            )


class Lent:
    """The engines that a user lends to one dive, by kind."""

    def __init__(self, urls: Mapping[str, str]) -> None:
        self._urls = dict(urls)
        self._taken: set[int] = set()  # numbers of Redis databases

    def __contains__(self, kind: str) -> bool:
        return kind in self._urls

    def room(self, kind: type[Engine], name: str) -> AbstractAsyncContextManager[Engine]:
        """Return an engine of this kind with an empty room for `name`, cleared when the block ends."""
        url = self._urls[kind.kind]
        called = f"fathom_{re.sub(r'[^a-z0-9]+', '_', name.lower())}_{secrets.token_hex(4)}"
        if kind.kind == "postgres":
            return _database(url, called)
        if kind.kind == "redis":
            return self._numbered(url)
        return _prefix(url, called)

    @asynccontextmanager
    async def _numbered(self, url: str) -> AsyncIterator[Redis]:
        """Find a database of a Redis in which there is nothing."""
        for number in range(DATABASES):
            if number in self._taken:
                continue
            redis = Redis.at(_with_number(url, number))
            await redis.ready()
            async with redis.connected() as client:
                if await client("DBSIZE") != 0:
                    continue
            self._taken.add(number)
            try:
                yield redis
            finally:
                self._taken.discard(number)
                async with redis.connected() as client:
                    await client("FLUSHDB")
            return
        raise FathomError(
            "your Redis has no empty database",
            why=f"a dive takes an empty one of the {DATABASES} for each approach, and clears nothing that it finds",
            fix="lend one that is empty, or leave redis out: then Fathom starts its own",
        )


@asynccontextmanager
async def _database(url: str, name: str) -> AsyncIterator[Postgres]:
    """Make a database, and drop it when the block ends."""
    lender = Postgres.at(url)
    await lender.ready()
    async with lender.connected(size=1) as connection:
        await _do(connection, f'CREATE DATABASE "{name}"', url)
    try:
        mine = Postgres.at(urlunsplit(urlsplit(url)._replace(path=f"/{name}")))
        await mine.ready()
        yield mine
    finally:
        async with lender.connected(size=1) as connection:
            await _do(connection, f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)', url)


async def _do(connection: Any, statement: str, url: str) -> None:
    from asyncpg import PostgresError

    try:
        await connection.execute(statement)
    except PostgresError as refused:
        raise FathomError(
            f"your PostgreSQL would not {statement.split(' DATABASE')[0].lower()} a database",
            why=str(refused),
            fix=f"let {urlsplit(url).username or 'this role'} do so: ALTER ROLE … CREATEDB",
        ) from None


def _with_number(url: str, number: int) -> str:
    parts = urlsplit(url)
    if parts.scheme == "unix":
        return urlunsplit(parts._replace(query=f"db={number}"))
    return urlunsplit(parts._replace(path=f"/{number}"))


@asynccontextmanager
async def _prefix(url: str, name: str) -> AsyncIterator[Objects]:
    """Use keys below a prefix, and delete what is there when the block ends."""
    parts = urlsplit(url)
    objects = Objects.at(urlunsplit(parts._replace(path=f"{parts.path.rstrip('/')}/{name}")))
    if parts.scheme == "file":
        from fathom.engines.bucket import folder_of

        folder = folder_of(objects.where)
        assert folder is not None
        folder.mkdir()
    await objects.ready()
    try:
        yield objects
    finally:
        async with objects.connected() as bucket:
            while keys := await bucket.list(at_most=OBJECTS_MAX):
                for key in keys:
                    await bucket.delete(key)
