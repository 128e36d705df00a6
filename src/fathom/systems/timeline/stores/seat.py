"""The seat of the one service on these data: a lock of PostgreSQL, and the watch over it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress

from fathom.engines.database import Session
from fathom.engines.engine import EngineError
from fathom.engines.postgres import Postgres
from fathom.errors import FathomError

__all__ = ["Seat"]

SERVING = 7_401_002  # an advisory lock: the number only has to be ours
POLL_S = 0.05
GHOST_S = 10.0  # for so long the lock that we lost may still be held by what is left of our own connection


class Seat:
    """Approaches are switched, and feeds changed, by one process; a second one would not hear of it.

    The lock goes with its connection, so also with a process that is killed: its successor need only wait a moment. It
    goes as well when PostgreSQL is restarted: `lost` says so at once, and `retake` sits down again unless somebody else
    was quicker.
    """

    def __init__(self, truth: Postgres) -> None:
        self._truth = truth
        self._sessions = AsyncExitStack()
        self._session: Session | None = None
        self.held, self.lost = asyncio.Event(), asyncio.Event()  # the one or the other while the seat is `kept`

    @asynccontextmanager
    async def kept(self, within_s: float) -> AsyncIterator[None]:
        """Be the one service for the length of a block; raise when another is."""
        async with self._sessions:
            await self._take(within_s)
            try:
                yield
            finally:
                session, self._session = self._session, None
                if session is not None:
                    with suppress(EngineError):  # then the lock is gone with its connection
                        await session.execute("SELECT pg_advisory_unlock($1)", SERVING)

    async def check(self) -> None:
        """Ask the connection for a sign of life: one that is cut without a word is found out by this alone."""
        if self._session is not None:
            with suppress(EngineError):  # `lost` says it
                await self._session.execute("SELECT 1")

    async def retake(self) -> None:
        """Take the lock again after it was lost; raise an EngineError while nobody can, else what says who has it."""
        await self._sessions.aclose()
        await self._take(GHOST_S)

    async def _take(self, within_s: float) -> None:
        session = await self._sessions.enter_async_context(self._truth.client.session())
        until = asyncio.get_running_loop().time() + within_s
        while not await session.fetchval("SELECT pg_try_advisory_lock($1)", SERVING):
            if asyncio.get_running_loop().time() >= until:
                raise FathomError(
                    "another timeline serves these data",
                    why=f"it has held their lock for the last {within_s:g} s",
                    fix="stop it, or give this one its own database",
                )
            await asyncio.sleep(POLL_S)  # the lock of another session gives no sign
        self._session = session
        self.lost.clear()
        self.held.set()
        session.on_lost(lambda: self._gone(session))

    def _gone(self, session: Session) -> None:
        if session is self._session:
            self._session = None
            self.held.clear()
            self.lost.set()
