"""Redis as the timeline may use it: open, or shut from its first failure until it was told what it missed."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from fathom.engines.engine import EngineError
from fathom.engines.redis import Redis
from fathom.engines.redis_client import Command, RedisClient, RedisError

__all__ = ["Memory", "MemoryShut"]

PATIENT_S = 5.0  # for work in the background, which nobody waits for
STALL_S = 0.05  # a timer later than this says more about us than about Redis

_mending: ContextVar[bool] = ContextVar("mending", default=False)


class MemoryShut(EngineError):
    """Redis may not be used now: read the truth instead, and leave what was to be written to the outbox."""

    def __init__(self, why: str) -> None:
        super().__init__("Redis is not used now", why=why, fix="wait until it is back and was told what it missed")


class Memory:
    """The one way to Redis, with a deadline for reads and a shutter.

    A write that failed may or may not be in Redis, so what Redis holds can no longer be believed: one failure, of any
    command, shuts it for everybody. Reads go to the truth meanwhile and nobody waits for a dead Redis twice. It is
    opened again only after every change that readers must see has been applied (see service/mending).
    """

    def __init__(self, engine: Redis, *, deadline_s: float = 0.18) -> None:
        self._engine, self.deadline_s = engine, deadline_s
        self.open = False
        self.openings = 0  # raised at every opening: what was read from the truth before one is not written after it
        self.why = "it was not opened yet"
        self.on_shut: Callable[[], object] = lambda: None
        self._opened = asyncio.Event()
        self._asked: deque[tuple[asyncio.Future[Any], float]] = deque()
        self._alarm: asyncio.TimerHandle | None = None

    @property
    def client(self) -> RedisClient:
        return self._engine.client

    # The shutter

    def shut(self, why: object) -> None:
        """Let nobody use Redis until it was mended; who waits for an answer is sent to the truth at once."""
        if not self.open:
            return
        self.open = False
        self.why = str(why)
        self._opened.clear()
        asked, self._asked = self._asked, deque()
        for future, _ in asked:
            if not future.done():
                future.set_exception(MemoryShut(self.why))
        self.on_shut()

    def reopen(self) -> None:
        """Let everybody use it. Call it in the same turn of the loop in which nothing was left to apply."""
        self.open = True
        self.openings += 1
        self._opened.set()

    async def opened(self) -> None:
        """Return once it is open."""
        await self._opened.wait()

    @contextmanager
    def mending(self) -> Iterator[None]:
        """Let this block use Redis although it is shut: it tells it what it missed."""
        token = _mending.set(True)
        try:
            yield
        finally:
            _mending.reset(token)

    # Asking

    async def ask(self, *command: Any) -> Any:
        """Send one command that somebody waits for."""
        if not self.open and not _mending.get():
            raise MemoryShut(self.why)
        try:
            # Where there is room, the client gives a plain future at once; else something to await that ends in time.
            answer: Awaitable[Any] = self._engine.client(*command)
            if isinstance(answer, asyncio.Future):
                self._watch(answer)
            return await answer
        except (EngineError, RedisError) as failure:
            raise self._failed(failure) from failure

    async def many(self, commands: Sequence[Command], *, atomic: bool = False, patient: bool = False) -> list[Any]:
        """Send several commands at once; `patient` where nobody waits for the answer."""
        if not self.open and not _mending.get():
            raise MemoryShut(self.why)
        try:
            async with asyncio.timeout(PATIENT_S if patient or _mending.get() else self.deadline_s):
                return await self._engine.client.many(commands, atomic=atomic)
        except (EngineError, RedisError, TimeoutError) as failure:
            raise self._failed(failure) from failure

    def _failed(self, failure: BaseException) -> MemoryShut:
        why = failure.why if isinstance(failure, EngineError) else str(failure) or "no answer in time"
        self.shut(why)
        return MemoryShut(why)

    # One alarm for all reads: their deadlines are equal, so they expire in the order in which they were asked.

    def _watch(self, answer: asyncio.Future[Any]) -> None:
        asked = self._asked
        while asked and asked[0][0].done():
            asked.popleft()
        loop = answer.get_loop()
        expires = loop.time() + self.deadline_s
        asked.append((answer, expires))
        if self._alarm is None:
            self._alarm = loop.call_at(expires, self._ring, expires)

    def _ring(self, due: float) -> None:
        self._alarm = None
        asked = self._asked
        while asked and asked[0][0].done():
            asked.popleft()
        if not asked:
            return
        answer, expires = asked[0]
        loop = answer.get_loop()
        now = loop.time()
        if now - due > STALL_S:  # it was we who slept: the answer may lie in the socket, unread
            expires = max(expires, now + STALL_S)
        if now < expires:
            self._alarm = loop.call_at(expires, self._ring, expires)
            return
        why = f"no answer for {self.deadline_s * 1000:.0f} ms"
        if self.open:
            self.shut(why)
        else:  # while it is mended
            for future, _ in asked:
                if not future.done():
                    future.set_exception(MemoryShut(why))
