"""A dive on a user's own engines gets empty rooms in them, and leaves them as it found them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from fathom.cli.lent import Lent, check
from fathom.engines.keeper import Keeper
from fathom.engines.nats import Nats
from fathom.engines.objects import Objects
from fathom.engines.postgres import Postgres
from fathom.engines.redis import Redis
from fathom.errors import FathomError
from fathom.lab import plan as planning
from fathom.lab.machine import Placement
from fathom.systems import find


@pytest.fixture
async def keeper() -> AsyncIterator[Keeper]:
    async with Keeper.open() as keeper:
        yield keeper


@pytest.mark.slow
async def test_each_approach_gets_a_database_of_its_own_that_goes_again(keeper: Keeper):
    async with Postgres.start(keeper, name="lender") as lender:
        lent = Lent({"postgres": lender.where})
        rooms = lent.room(Postgres, "on-write"), lent.room(Postgres, "on-write'")
        async with rooms[0] as one, rooms[1] as two, one.connected() as mine, two.connected() as yours:
            await mine.execute("CREATE TABLE posts (id int)")
            await yours.execute("CREATE TABLE posts (id int)")
            await mine.execute("INSERT INTO posts VALUES (1)")
            assert await yours.fetchval("SELECT count(*) FROM posts") == 0
        async with lender.connected() as database:
            left = await database.fetchval("SELECT count(*) FROM pg_database WHERE datname LIKE 'fathom_%'")
            assert left == 0


@pytest.mark.slow
async def test_a_role_that_may_not_make_databases_is_told_what_it_needs(keeper: Keeper):
    async with Postgres.start(keeper, name="lender") as lender:
        async with lender.connected() as database:
            await database.execute("CREATE ROLE guest LOGIN PASSWORD 'guest-guest'")
        guest = lender.where.replace(lender.where.split("@")[0], "postgresql://guest:guest-guest")
        with pytest.raises(FathomError) as told:
            async with Lent({"postgres": guest}).room(Postgres, "on-write"):
                pass
    assert "would not create a database" in told.value.what and "guest-guest" not in str(told.value)


@pytest.mark.slow
async def test_only_empty_databases_of_a_redis_are_taken_and_they_are_empty_again(keeper: Keeper):
    async with Redis.start(keeper, name="lender") as lender:
        async with lender.connected() as client:
            await client("SET", "mine", "precious")
        lent = Lent({"redis": lender.where})
        async with lent.room(Redis, "on-write") as one, lent.room(Redis, "on-read") as two:
            assert len({lender.where, one.where, two.where}) == 3
            async with one.connected() as mine, two.connected() as yours:
                await mine("SET", "post", "1")
                assert await yours("GET", "post") is None
        async with lender.connected() as client:
            assert await client("GET", "mine") == b"precious"
            assert b"db1" not in await client("INFO", "keyspace")


@pytest.mark.slow
async def test_a_redis_without_an_empty_database_is_left_alone(keeper: Keeper, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("fathom.cli.lent.DATABASES", 1)
    async with Redis.start(keeper, name="lender") as lender:
        async with lender.connected() as client:
            await client("SET", "mine", "precious")
        with pytest.raises(FathomError, match="no empty database"):
            async with Lent({"redis": lender.where}).room(Redis, "on-write"):
                pass


@pytest.mark.slow
async def test_objects_lie_below_a_prefix_of_their_own(keeper: Keeper, tmp_path: Path):
    async with Objects.start(keeper, folder=tmp_path / "store") as lender:
        async with lender.connected() as bucket:
            await bucket.put("mine", b"precious")
        async with Lent({"objects": lender.where}).room(Objects, "on-write") as one, one.connected() as bucket:
            await bucket.put("a/b", b"1")
            assert await bucket.get("mine") is None
        async with lender.connected() as bucket:
            assert await bucket.list() == ["mine"]


def test_an_engine_that_is_not_ours_is_never_broken():
    timeline = find("timeline")
    plan = planning.draw(timeline, "celebrity", placement=Placement.of([0, 1]))
    fields = {"truth": Postgres, "cache": Redis, "queue": Nats, "files": Objects}
    check(plan, {"postgres": "postgresql://h/d"}, fields)
    with pytest.raises(FathomError, match="breaks cache, and that is your own redis"):
        check(plan, {"redis": "redis://h"}, fields)
    with pytest.raises(FathomError, match="a NATS of its own"):
        check(plan, {"nats": "nats://h"}, fields)
