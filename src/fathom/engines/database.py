"""A PostgreSQL client that counts what it sends, waits within bounds, and says what became of what failed."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Literal

from fathom.engines.engine import EngineBusy, EngineDown, EngineError, EngineUnknown, without_secrets
from fathom.engines.ledger import charge

if TYPE_CHECKING:
    import asyncpg

__all__ = ["Database", "Isolation", "Session", "connect"]

Isolation = Literal["read committed", "repeatable read", "serializable"]

CONNECT_S = 5.0  # at most, and never longer than the call that needs the connection may take
WAITERS_MAX = 4096  # callers waiting for a connection; beyond, they are refused at once
BULK_S = 120.0  # for COPY, which moves a data set


async def connect(url: str, within_s: float) -> asyncpg.Connection:
    """Open one connection, or say in our own words why that cannot be done."""
    import asyncpg  # a client library is imported when it is first needed

    try:
        named = {"application_name": "fathom"}
        return await asyncpg.connect(url, timeout=within_s, server_settings=named)  # pyright: ignore[reportArgumentType]
    except asyncpg.TooManyConnectionsError as fault:
        raise EngineBusy(
            f"PostgreSQL at {without_secrets(url)} takes no more connections",
            why=str(fault),
            fix="raise max_connections there, or run fewer services",
        ) from None
    except (asyncpg.InvalidAuthorizationSpecificationError, asyncpg.InvalidCatalogNameError) as fault:
        raise EngineDown(
            f"PostgreSQL at {without_secrets(url)} does not let us in",
            why=str(fault),
            fix="check user, password and database in its URL",
        ) from None
    except (OSError, ssl.SSLError, asyncpg.PostgresError, asyncpg.InterfaceError, ValueError) as fault:
        # What asyncpg says of a URL that it cannot read may quote it; then the kind of the error must do.
        why = str(fault) if isinstance(fault, (OSError, asyncpg.PostgresError)) else type(fault).__name__
        raise EngineDown(
            f"PostgreSQL at {without_secrets(url)} cannot be reached",
            why=why or f"no answer within {within_s:g} s",
            fix="see that it runs, and that its URL is right",
        ) from None


class Session:
    """One held connection: what is set or locked in it stays until the block ends."""

    def __init__(self, connection: asyncpg.Connection, deadline_s: float, *, all_or_nothing: bool) -> None:
        self._connection, self._deadline_s, self._all_or_nothing = connection, deadline_s, all_or_nothing

    def on_lost(self, told: Callable[[], object]) -> None:
        """Have `told` called when the connection has ended, whoever ended it: what it had locked is free by then."""
        self._connection.add_termination_listener(lambda _: told())

    async def fetch(self, query: str, *args: Any, within_s: float | None = None) -> list[asyncpg.Record]:
        """Return all rows."""
        found = await self._run(self._connection.fetch(query, *args, timeout=within_s or self._deadline_s))
        charge("rows", len(found))
        return found

    async def fetchrow(self, query: str, *args: Any, within_s: float | None = None) -> asyncpg.Record | None:
        """Return the first row, or None."""
        found = await self._run(self._connection.fetchrow(query, *args, timeout=within_s or self._deadline_s))
        if found is not None:
            charge("rows")
        return found

    async def fetchval(self, query: str, *args: Any, column: int = 0, within_s: float | None = None) -> Any:
        """Return one value of the first row, or None."""
        found = await self.fetchrow(query, *args, within_s=within_s)
        return None if found is None else found[column]

    async def execute(self, query: str, *args: Any, within_s: float | None = None) -> int:
        """Run a statement; return how many rows it changed (or selected). Without arguments it may be a script."""
        tag = await self._run(self._connection.execute(query, *args, timeout=within_s or self._deadline_s))
        n = _rows_of(tag)
        charge("rows", n)
        return n

    async def copy(
        self, table: str, columns: Sequence[str], records: Iterable[Sequence[Any]], within_s: float = BULK_S
    ) -> int:
        """Add rows in bulk with COPY; return how many."""
        tag = await self._run(
            self._connection.copy_records_to_table(table, columns=list(columns), records=records, timeout=within_s)
        )
        n = _rows_of(tag)
        charge("rows", n)
        return n

    async def _run(self, statement: Any) -> Any:
        charge("statements")
        try:
            return await statement
        except Exception as fault:
            meant = _meaning(fault, self._connection, all_or_nothing=self._all_or_nothing)
            if meant is None:
                raise
            raise meant from fault


class Database:
    """A bounded pool of connections to one PostgreSQL.

    Every call has a deadline, waiting for a connection included. One that fails says what became of it: EngineDown and
    EngineBusy, surely nothing was done; EngineUnknown, the statement may have taken effect. What PostgreSQL itself
    refuses (a broken constraint) comes as asyncpg's own exceptions. Connections that broke are
    replaced when they are next needed, so that the pool heals when the server is back.
    """

    def __init__(self, url: str, *, size: int = 16, deadline_s: float = 10.0) -> None:
        self._url, self.size, self.deadline_s = url, size, deadline_s
        self._idle: list[asyncpg.Connection] = []
        self._open = 0  # connections, lent and being opened included
        self._waiting: deque[asyncio.Future[asyncpg.Connection | None]] = deque()
        self._closed = False

    # One statement each, committed when it returns --------------------------------------------------------------------

    async def fetch(self, query: str, *args: Any, within_s: float | None = None) -> list[asyncpg.Record]:
        """Return all rows."""
        found = await self._once("fetch", query, args, within_s)
        charge("rows", len(found))
        return found

    async def fetchrow(self, query: str, *args: Any, within_s: float | None = None) -> asyncpg.Record | None:
        """Return the first row, or None."""
        found = await self._once("fetchrow", query, args, within_s)
        if found is not None:
            charge("rows")
        return found

    async def fetchval(self, query: str, *args: Any, column: int = 0, within_s: float | None = None) -> Any:
        """Return one value of the first row, or None."""
        found = await self.fetchrow(query, *args, within_s=within_s)
        return None if found is None else found[column]

    async def execute(self, query: str, *args: Any, within_s: float | None = None) -> int:
        """Run a statement; return how many rows it changed (or selected). Without arguments it may be a script."""
        n = _rows_of(await self._once("execute", query, args, within_s))
        charge("rows", n)
        return n

    async def copy(
        self, table: str, columns: Sequence[str], records: Iterable[Sequence[Any]], within_s: float = BULK_S
    ) -> int:
        """Add rows in bulk with COPY, all or none; return how many."""
        async with self.session(within_s=within_s) as session:
            return await session.copy(table, columns, records, within_s)

    async def _once(self, how: str, query: str, args: tuple[Any, ...], within_s: float | None) -> Any:
        now = asyncio.get_running_loop().time
        until = now() + (self.deadline_s if within_s is None else within_s)
        connection = self._idle.pop() if self._idle else None
        if connection is None or connection.is_closed():
            connection = await self._lend(until, connection)
        charge("statements")
        try:
            answer = await getattr(connection, how)(query, *args, timeout=max(0.001, until - now()))
        except BaseException as fault:
            meant = _meaning(fault, connection, all_or_nothing=False)
            self._take_back(
                connection, sound=isinstance(fault, Exception) and not isinstance(meant, (EngineDown, EngineUnknown))
            )
            if meant is None:
                raise
            raise meant from fault
        self._take_back(connection)
        return answer

    # Several in one connection ----------------------------------------------------------------------------------------

    @asynccontextmanager
    async def session(self, *, within_s: float | None = None) -> AsyncIterator[Session]:
        """Hold one connection for a block, for what belongs to a connection: an advisory lock, a temporary table.

        Undo what you set: the next one who borrows it gets it as it is. `within_s` is the deadline of each statement.
        """
        deadline_s = self.deadline_s if within_s is None else within_s
        connection = await self._lend(asyncio.get_running_loop().time() + deadline_s, None)
        sound = False
        try:
            yield Session(connection, deadline_s, all_or_nothing=False)
            sound = True
        except Exception:
            sound = True  # as far as the connection goes; whether that is so is seen when it is taken back
            raise
        finally:
            self._take_back(connection, sound=sound)

    @asynccontextmanager
    async def transaction(
        self, *, isolation: Isolation | None = None, within_s: float | None = None
    ) -> AsyncIterator[Session]:
        """Run a block in a transaction: committed when it ends, rolled back when it raises.

        BEGIN and COMMIT are statements, and are counted. `within_s` is the deadline of each statement. A failure before
        COMMIT was sent is never EngineUnknown: the server rolls back what was not committed.
        """
        deadline_s = self.deadline_s if within_s is None else within_s
        connection = await self._lend(asyncio.get_running_loop().time() + deadline_s, None)
        session = Session(connection, deadline_s, all_or_nothing=True)
        begin = "BEGIN" if isolation is None else f"BEGIN ISOLATION LEVEL {isolation.upper()}"
        sound = False
        try:
            await session._run(connection.execute(begin, timeout=deadline_s))
            try:
                yield session
            except Exception:
                if not connection.is_closed():
                    with contextlib.suppress(EngineError):
                        await session._run(connection.execute("ROLLBACK", timeout=deadline_s))
                        sound = True
                raise  # given up, or the connection lost: it is closed, which rolls back just as well
            session._all_or_nothing = False  # from here on nobody knows until the answer comes
            tag = await session._run(connection.execute("COMMIT", timeout=deadline_s))
            sound = True
            if tag == "ROLLBACK":
                raise RuntimeError(
                    "a statement of this transaction had failed and the block went on: nothing was committed"
                )
        finally:
            self._take_back(connection, sound=sound)

    # The pool ---------------------------------------------------------------------------------------------------------

    async def open(self) -> None:
        """Open the first connection, so that a wrong URL is found out before anything depends on it."""
        self._take_back(await self._lend(asyncio.get_running_loop().time() + self.deadline_s, None))

    async def close(self, within_s: float = 2.0) -> None:
        """Close all idle connections; who waits is turned away, what is lent is closed when it comes back."""
        self._closed = True
        while self._waiting:
            self._grant(None)
        for connection in self._idle:
            if connection.is_closed():
                continue
            try:
                await connection.close(timeout=within_s)
            except Exception:  # a server that does not answer need not say goodbye
                connection.terminate()
        self._idle.clear()

    async def _lend(self, until: float, dead: asyncpg.Connection | None) -> asyncpg.Connection:
        """Return a connection for one borrower: an idle one, a new one, or the next that comes back."""
        if dead is not None:
            self._open -= 1
        while self._idle:
            connection = self._idle.pop()  # the last one used: its caches are warm
            if not connection.is_closed():
                return connection
            self._open -= 1
        if self._open < self.size and not self._closed:
            self._open += 1
        else:
            connection = await self._wait(until)
            if connection is not None and not connection.is_closed():
                return connection
        try:
            if self._closed:
                raise self._shut()
            left = until - asyncio.get_running_loop().time()
            if left <= 0:
                raise self._busy()
            return await connect(self._url, min(left, CONNECT_S))
        except BaseException:
            self._leave()
            raise

    async def _wait(self, until: float) -> asyncpg.Connection | None:
        """Wait for one's turn, first come first served. It brings a connection, or the right to open one (None)."""
        if self._closed:
            self._open += 1  # so that what follows can give it back
            return None
        if len(self._waiting) >= WAITERS_MAX:
            raise self._busy()
        loop = asyncio.get_running_loop()
        turn = loop.create_future()
        self._waiting.append(turn)
        alarm = loop.call_at(until, lambda: turn.done() or turn.set_exception(self._busy()))
        try:
            return await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled() and turn.exception() is None:  # given and not taken
                connection = turn.result()
                self._take_back(connection) if connection is not None else self._leave()
            raise
        finally:
            alarm.cancel()

    def _grant(self, connection: asyncpg.Connection | None) -> bool:
        """Give a connection, or the right to open one, to the one who has waited longest."""
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                if connection is None:
                    self._open += 1
                turn.set_result(connection)
                return True
        return False

    def _take_back(self, connection: asyncpg.Connection, *, sound: bool = True) -> None:
        if sound and not self._closed and not connection.is_closed() and not connection.is_in_transaction():
            if not self._grant(connection):
                self._idle.append(connection)
            return
        if not connection.is_closed():
            connection.terminate()
        self._leave()

    def _leave(self) -> None:
        """A connection is no more; another may be opened in its place."""
        self._open -= 1
        if not self._closed:
            self._grant(None)

    def _busy(self) -> EngineBusy:
        return EngineBusy(
            "PostgreSQL has no connection free for us in time",
            why=f"all {self.size} were in use, and {len(self._waiting)} others waited",
            fix="ask for less at a time, or give the pool more connections",
        )

    def _shut(self) -> EngineDown:
        return EngineDown(
            "the connections to PostgreSQL are closed",
            why="the block that opened them has ended",
            fix="ask inside `connected()`",
        )

    async def report(self) -> None:
        """Have every idle connection's counts shown in the server's own counters now, not within its ten seconds."""
        connections, self._idle = self._idle, []
        for connection in connections:
            sound = False
            with contextlib.suppress(Exception):
                await connection.execute("SELECT pg_stat_force_next_flush()", timeout=self.deadline_s)
                sound = True
            self._take_back(connection, sound=sound)


def _rows_of(tag: str) -> int:
    """Read the number at the end of a command's tag: `INSERT 0 5`, `COPY 10`; 0 where there is none."""
    last = tag.rpartition(" ")[2]
    return int(last) if last.isdigit() else 0


def _meaning(fault: BaseException, connection: asyncpg.Connection, *, all_or_nothing: bool) -> EngineError | None:
    """Say what became of a statement that failed; None if the fault says so itself."""
    import asyncpg

    if isinstance(fault, EngineError) or not isinstance(fault, Exception):
        return None
    lost = (
        OSError,
        asyncpg.PostgresConnectionError,
        asyncpg.AdminShutdownError,
        asyncpg.CrashShutdownError,
        asyncpg.CannotConnectNowError,
    )
    if isinstance(fault, (asyncpg.DeadlockDetectedError, asyncpg.SerializationError)):
        return EngineBusy(
            "PostgreSQL ended a transaction that others stood in the way of, and rolled it back",
            why=str(fault),
            fix="try the whole transaction again",
        )
    if isinstance(fault, TimeoutError):
        why = "no answer before the deadline"
        connection.terminate()
    elif isinstance(fault, lost) or (isinstance(fault, asyncpg.InterfaceError) and connection.is_closed()):
        why = str(fault) or type(fault).__name__
    else:
        return None
    if all_or_nothing:
        return EngineDown(
            "the connection to PostgreSQL was lost within a transaction, which is rolled back",
            why=why,
            fix="try the whole transaction again",
        )
    return EngineUnknown(
        "a statement was sent to PostgreSQL, and nobody knows whether it took effect",
        why=why,
        fix="read what it would have changed before you try again",
    )
