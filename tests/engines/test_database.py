"""A statement that failed was not done, or nobody knows; and every one is counted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest
import pytest_asyncio

from fathom.engines.database import Database
from fathom.engines.engine import EngineBusy, EngineDown, EngineUnknown
from fathom.engines.keeper import Keeper
from fathom.engines.ledger import charging, work
from fathom.engines.postgres import Postgres

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def postgres() -> AsyncIterator[Postgres]:
    async with Keeper.open() as keeper, Postgres.start(keeper) as postgres:
        yield postgres


@pytest_asyncio.fixture(loop_scope="module")
async def db(postgres: Postgres) -> AsyncIterator[Database]:
    async with postgres.connected(size=4, deadline_s=5.0) as db:
        await db.execute("DROP TABLE IF EXISTS t; CREATE TABLE t (id bigint PRIMARY KEY, body text)")
        yield db


async def count(db: Database) -> int:
    return await db.fetchval("SELECT count(*) FROM t")


async def test_statements_and_rows_are_charged_to_the_operation_that_asks(db: Database):
    with charging("post"):
        assert await db.execute("INSERT INTO t SELECT unnest($1::bigint[]), 'x'", [1, 2, 3]) == 3  # 1 statement, 3 rows
        assert [row["id"] for row in await db.fetch("SELECT id FROM t ORDER BY id")] == [1, 2, 3]  # 1, 3
        assert await db.fetchval("SELECT body FROM t WHERE id = $1", 2) == "x"  # 1, 1
        assert await db.fetchrow("SELECT * FROM t WHERE id = 9") is None  # 1, 0
        assert await db.copy("t", ["id", "body"], ((n, "y") for n in range(10, 20))) == 10  # 1, 10
        async with db.transaction() as tx:  # BEGIN and COMMIT: 2
            await tx.execute("UPDATE t SET body = 'z' WHERE id < 3")  # 1, 2
    assert work.snapshot()["post"] == {"statements": 8, "rows": 19}


async def test_a_transaction_is_all_or_nothing(db: Database):
    with pytest.raises(asyncpg.UniqueViolationError):
        async with db.transaction() as tx:
            await tx.execute("INSERT INTO t VALUES (1)")
            await tx.execute("INSERT INTO t VALUES (1)")
    with pytest.raises(KeyError):
        async with db.transaction(isolation="serializable") as tx:
            assert await tx.fetchval("SHOW transaction_isolation") == "serializable"
            await tx.execute("INSERT INTO t VALUES (2)")
            raise KeyError
    assert await count(db) == 0


async def test_who_is_ended_for_a_deadlock_is_told_that_nothing_was_done_and_the_connection_is_kept(db: Database):
    await db.execute("INSERT INTO t VALUES (1, ''), (2, '')")
    both = asyncio.Barrier(2)

    async def change(first: int, second: int) -> None:
        async with db.transaction() as tx:
            await tx.execute("UPDATE t SET body = body || 'x' WHERE id = $1", first)
            await both.wait()
            await tx.execute("UPDATE t SET body = body || 'x' WHERE id = $1", second)

    ended = await asyncio.gather(change(1, 2), change(2, 1), return_exceptions=True)
    assert sorted(type(it) for it in ended if it is not None) == [EngineBusy]
    assert [row["body"] for row in await db.fetch("SELECT body FROM t")] == ["x", "x"], "the other one was done, once"
    with pytest.raises(EngineBusy):
        await db.execute("DO $$ BEGIN RAISE EXCEPTION 'for the test' USING ERRCODE = '40001'; END $$")
    assert len(db._idle) == db._open, "nobody had to open another connection"


async def test_a_block_that_ignores_a_failed_statement_is_told_that_nothing_was_committed(db: Database):
    with pytest.raises(RuntimeError, match="nothing was committed"):
        async with db.transaction() as tx:
            await tx.execute("INSERT INTO t VALUES (1)")
            with pytest.raises(asyncpg.UniqueViolationError):
                await tx.execute("INSERT INTO t VALUES (1)")
    assert await count(db) == 0


async def test_who_waits_for_a_connection_too_long_is_turned_away(db: Database):
    async with db.session(), db.session(), db.session(), db.session():
        with pytest.raises(EngineBusy):
            await db.fetch("SELECT 1", within_s=0.05)
    assert await db.fetchval("SELECT 1") == 1


async def test_connections_are_given_in_the_order_of_asking(db: Database):
    order: list[int] = []

    async def ask(n: int) -> None:
        await db.fetch("SELECT 1")
        order.append(n)

    async with db.session(), db.session(), db.session():
        await asyncio.gather(*map(ask, range(20)))  # through the fourth
    assert order == list(range(20))


async def test_a_waiter_that_gives_up_takes_no_connection_with_it(db: Database):
    async with db.session(), db.session(), db.session():
        async with db.session():
            waiting = [asyncio.create_task(db.fetch("SELECT 1")) for _ in range(3)]
            await asyncio.sleep(0)
            waiting[0].cancel()
        waiting[1].cancel()  # it has just been given the connection, and does not know yet
        await asyncio.gather(*waiting, return_exceptions=True)
        assert waiting[2].result()
        assert await db.fetchval("SELECT 1") == 1
    async with asyncio.timeout(5.0), db.session(), db.session(), db.session(), db.session():
        pass


async def test_a_cancelled_statement_is_stopped_and_its_place_is_free(db: Database):
    asking = [asyncio.create_task(db.fetch("SELECT pg_sleep(60)")) for _ in range(4)]
    async with asyncio.timeout(20.0):
        while await sleepers(db) < 3:  # noqa: ASYNC110 (the server tells nobody)
            await asyncio.sleep(0.01)
    for task in asking:
        task.cancel()
    await asyncio.gather(*asking, return_exceptions=True)
    async with asyncio.timeout(20.0):
        while await sleepers(db):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert await db.fetchval("SELECT 1") == 1


async def sleepers(db: Database) -> int:
    """How many sessions sleep; seen through a connection that is not of the pool."""
    connection = await asyncpg.connect(db._url)
    try:
        return await connection.fetchval("SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%'")
    finally:
        await connection.close()


async def test_a_statement_over_its_deadline_is_unknown(db: Database):
    with pytest.raises(EngineUnknown, match="nobody knows"):
        await db.execute("INSERT INTO t SELECT 1 FROM pg_sleep(60)", within_s=0.05)
    assert await db.fetchval("SELECT 1") == 1


async def test_a_transaction_over_its_deadline_is_surely_not_done(db: Database):
    with pytest.raises(EngineDown, match="rolled back"):
        async with db.transaction(within_s=0.1) as tx:
            await tx.execute("INSERT INTO t VALUES (1)")
            await tx.execute("SELECT pg_sleep(60)")
    assert await count(db) == 0


async def test_a_session_that_is_ended_by_the_server_is_replaced(db: Database):
    with pytest.raises(EngineUnknown):
        await db.fetch("SELECT pg_terminate_backend(pg_backend_pid())")
    assert await db.fetchval("SELECT 1") == 1


async def test_what_another_engine_refuses_within_a_transaction_costs_no_connection(db: Database):
    before = await db.fetchval("SELECT pg_backend_pid()")
    with pytest.raises(EngineDown, match="elsewhere"):
        async with db.transaction() as tx:
            await tx.execute("INSERT INTO t VALUES (1)")
            raise EngineDown("elsewhere", why="", fix="")
    assert await db.fetchval("SELECT pg_backend_pid()") == before
    assert await count(db) == 0


async def test_a_session_keeps_what_belongs_to_a_connection(db: Database):
    async with db.session() as one, db.session() as two:
        assert await one.fetchval("SELECT pg_try_advisory_lock(7)")
        assert not await two.fetchval("SELECT pg_try_advisory_lock(7)")
        await one.execute("SELECT pg_advisory_unlock(7)")
        assert await two.fetchval("SELECT pg_try_advisory_lock(7)")
        await two.execute("SELECT pg_advisory_unlock(7)")


async def test_a_closed_pool_turns_everyone_away(postgres: Postgres):
    async with postgres.connected(size=1) as db, db.session():
        waiting = asyncio.create_task(db.fetch("SELECT 1"))
        await asyncio.sleep(0)
        await db.close()
        with pytest.raises(EngineDown, match="closed"):
            await waiting
        with pytest.raises(EngineDown, match="closed"):
            await db.fetch("SELECT 1")


async def test_a_wrong_password_is_said_so_without_it(postgres: Postgres):
    wrong = postgres.where.replace("://fathom:", "://fathom:s3cret")
    with pytest.raises(EngineDown, match="does not let us in") as caught:
        async with Postgres.at(wrong).connected():
            pass
    assert "s3cret" not in str(caught.value)
