"""Two transactions that commit together or not at all: PostgreSQL's prepared transactions, and who decided what."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from fathom.engines.database import Database
from fathom.engines.engine import EngineError, EngineUnknown
from fathom.engines.postgres import Postgres
from fathom.errors import FathomError, Refusal

from ..api import OrderId

if TYPE_CHECKING:
    from fathom.engines.database import Session

__all__ = ["Pair", "Phases"]

OURS = "shop:%"
RECOVER_S = 5.0
SHARE = 3  # of the connections: each pair holds two, and others ask for one more meanwhile


class Pair:
    """Two open transactions, of the orders and of the stock; they are rolled back unless `commit` was awaited."""

    def __init__(self, phases: Phases, orders: Session, stock: Session) -> None:
        self._phases, self.orders, self.stock = phases, orders, stock
        self._open = [orders, stock]

    async def commit(self, order: OrderId) -> None:
        """Commit both. Whoever dies before the verdict is written has done nothing; afterwards, all of it.

        Raises Refusal where somebody took us for dead and decided against it.
        """
        name = f"shop:{order}:{secrets.token_hex(4)}"
        try:
            for session, part in ((self.orders, "orders"), (self.stock, "stock")):
                await session.execute(f"PREPARE TRANSACTION '{name}:{part}'")
                self._open.remove(session)
        except Exception:
            with contextlib.suppress(EngineError):  # who recovers does it later
                await self._phases.finish(name, commits=False)
            raise
        commits = await self.orders.execute(
            "INSERT INTO verdicts (global_id, commits) VALUES ($1, true) ON CONFLICT DO NOTHING", name
        )
        if not commits:
            await self._phases.finish(name, commits=False)
            raise Refusal("conflict", "this took too long, and was given up: ask again", retry_s=1.0)
        # The stock first: between the two, nobody may see an order whose stock is not seen yet. Who cancelled it then
        # would find nothing to release, and what came to light afterwards would be held for nobody.
        try:
            await _end(self.stock, f"{name}:stock", commits=True)
            await _end(self.orders, f"{name}:orders", commits=True)
            await self.orders.execute("DELETE FROM verdicts WHERE global_id = $1", name)
        except EngineError as failure:
            raise EngineUnknown(
                "two transactions are to commit, and it was not seen that both did",
                why=failure.why,
                fix="ask again: who recovers commits what is left of them",
            ) from failure

    async def only_orders(self) -> None:
        """Commit what was done to the orders alone; the stock is as it was."""
        await self.stock.execute("ROLLBACK")
        self._open.remove(self.stock)
        await self.orders.execute("COMMIT")
        self._open.remove(self.orders)

    async def give_up(self) -> None:
        """Roll back what is open."""
        for session in self._open:
            with contextlib.suppress(EngineError):  # it is rolled back when its connection is closed, too
                await session.execute("ROLLBACK")


class Phases:
    """Pairs of transactions in one PostgreSQL, as if they were in two: nothing but the name says that they belong
    together, and between the phases each holds its locks whoever dies."""

    def __init__(self, truth: Postgres) -> None:
        self._truth = truth
        self._pairs: asyncio.Semaphore | None = None

    @property
    def _db(self) -> Database:
        return self._truth.client

    async def check(self) -> None:
        """Raise FathomError where nothing can be prepared."""
        if int(await self._db.fetchval("SHOW max_prepared_transactions")) == 0:
            raise FathomError(
                "this PostgreSQL cannot prepare transactions",
                why="its max_prepared_transactions is 0, which is its own default",
                fix="set max_prepared_transactions = 64 there and start it again, or choose another transaction",
            )

    @asynccontextmanager
    async def pair(self) -> AsyncIterator[Pair]:
        """Open two transactions for the length of a block. So many pairs at once that others find a connection, too."""
        if self._pairs is None:
            self._pairs = asyncio.Semaphore(max(1, self._db.size // SHARE))
        async with self._pairs, self._db.session() as orders, self._db.session() as stock:
            pair = Pair(self, orders, stock)
            await orders.execute("BEGIN")
            await stock.execute("BEGIN")
            try:
                yield pair
            finally:
                await pair.give_up()

    @asynccontextmanager
    async def _own(self) -> AsyncIterator[Database]:
        """Connect anew: those that are connected may all be waiting for the very locks that are to be let go."""
        database = Database(self._truth.where, size=1, deadline_s=RECOVER_S)
        try:
            yield database
        finally:
            await database.close()

    async def in_doubt(self, older_s: float) -> list[str]:
        """Return what was prepared so long ago and neither committed nor rolled back, by its name without the part."""
        async with self._own() as own:
            return await self._in_doubt(older_s, own)

    async def _in_doubt(self, older_s: float, own: Database) -> list[str]:
        rows = await own.fetch(
            "SELECT DISTINCT left(gid, -strpos(reverse(gid), ':')) AS name FROM pg_prepared_xacts WHERE gid LIKE $1"
            " AND database = current_database() AND prepared <= clock_timestamp() - $2 * interval '1 second'",
            OURS,
            older_s,
        )
        return [row["name"] for row in rows]

    async def recover(self, older_s: float) -> int:
        """Finish what was left in doubt so long ago; return how many pairs that were."""
        async with self._own() as own:
            left = await self._in_doubt(older_s, own)
            for name in left:
                await self._finish(name, own, commits=await self._decide(name, own))
            return len(left)

    async def finish(self, name: str, *, commits: bool) -> None:
        """Carry a verdict out on what is still prepared of a pair."""
        async with self._own() as own:
            await self._finish(name, own, commits=commits)

    async def _decide(self, name: str, own: Database) -> bool:
        """Return whether it commits. If nobody has decided it does not, from now on, whoever comes."""
        await own.execute("INSERT INTO verdicts (global_id, commits) VALUES ($1, false) ON CONFLICT DO NOTHING", name)
        return await own.fetchval("SELECT commits FROM verdicts WHERE global_id = $1", name)

    async def _finish(self, name: str, own: Database, *, commits: bool) -> None:
        rows = await own.fetch(
            "SELECT gid FROM pg_prepared_xacts WHERE gid LIKE $1 AND database = current_database() ORDER BY gid DESC",
            f"{name}:%",  # the stock before the orders
        )
        for row in rows:
            await _end(own, row["gid"], commits=commits)
        if commits and not await own.fetchval(
            "SELECT EXISTS (SELECT FROM pg_prepared_xacts WHERE gid LIKE $1)", f"{name}:%"
        ):
            await own.execute("DELETE FROM verdicts WHERE global_id = $1", name)

    async def forget_old(self, kept_s: float = 86_400.0) -> int:
        """Forget verdicts against, once nobody can still mean to commit what they are about; return how many."""
        return await self._db.execute(
            "DELETE FROM verdicts WHERE NOT commits AND at < now() - $1 * interval '1 second'", kept_s
        )


async def _end(on: Session | Database, part: str, *, commits: bool) -> None:
    """Carry a verdict out on one part, unless somebody else has: whoever takes its owner for dead does the same."""
    import asyncpg

    with contextlib.suppress(asyncpg.UndefinedObjectError):
        await on.execute(f"{'COMMIT' if commits else 'ROLLBACK'} PREPARED '{part}'")
