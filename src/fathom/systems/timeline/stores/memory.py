"""Redis as the timeline may use it: believed, or shut from its first failed write until it was told what it missed."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from typing import Any

from fathom.engines.engine import EngineError
from fathom.engines.ledger import RESIDUAL, charging
from fathom.engines.redis import Redis
from fathom.engines.redis_client import RedisClient
from fathom.engines.redis_connection import Command, RedisError, RedisTimeout

__all__ = ["Memory", "MemoryShut"]

TELL_S = 1.0  # an acknowledgement waits that long for Redis to agree, once: then it is shut, and nobody waits
WORK_S = 5.0  # for work in the background, which nobody waits for
BESIDE_S = 60.0  # for work in bulk, before anybody reads
STALL_S = 0.05  # a timer later than this says more about us than about Redis
_FULL = ("OOM", "EXECABORT")  # how Redis says that it has no memory for that; for one of several, and so for none

_mending: ContextVar[bool] = ContextVar("mending", default=False)
_beside: ContextVar[RedisClient | None] = ContextVar("beside", default=None)


class MemoryShut(EngineError):
    """Redis may not be used now: read the truth instead, and leave what was to be written to the outbox."""

    def __init__(self, why: str) -> None:
        super().__init__("Redis is not used now", why=why, fix="wait until it is back and was told what it missed")


class Memory:
    """The one way to Redis. What became of a failure depends on what was asked:

    * `ask`, `look` (reads that somebody waits for): no answer in `deadline_s`, and reads go to the truth until Redis
      has answered again. It missed nothing, so it is believed at once. Nobody else waits meanwhile.
    * `tell` (changes that the next read must see): a failed one may or may not be in Redis, so it is *shut*: all reads
      go to the truth, changes stay in the outbox, and it is opened again only when all of them are applied
      (service/mending). A lost connection shuts it too: the Redis that comes back may be another.
    * `work` (pushes, feeds in the making: safe to repeat, and never half believed): fails, and is done again.
    """

    def __init__(self, engine: Redis, *, deadline_s: float = 0.18) -> None:
        self._engine, self.deadline_s = engine, deadline_s
        self.open = False  # it is believed
        self.readable = False  # and it answers
        self.openings = 0  # raised at every opening: what was read from the truth before one is not written after it
        self.why = "it was not opened yet"
        self.on_shut: Callable[[], object] = lambda: None
        self.on_readable: Callable[[], object] = lambda: None
        self._opened = asyncio.Event()
        self._asked: deque[tuple[asyncio.Future[Any], float]] = deque()
        self._alarm: asyncio.TimerHandle | None = None
        self._waking: asyncio.Task[None] | None = None

    @property
    def client(self) -> RedisClient:
        return self._engine.client

    # The shutter

    def shut(self, why: object) -> None:
        """Let nobody believe Redis until it was mended; who waits for an answer is sent to the truth at once."""
        self._pause(str(why))
        if self.open:
            self.open = False
            self._opened.clear()
            self.on_shut()

    def reopen(self) -> None:
        """Let everybody use it. Call it in the same turn of the loop in which nothing was left to apply."""
        self.open = self.readable = True
        self.openings += 1
        self._opened.set()
        self.on_readable()

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

    @asynccontextmanager
    async def beside(self) -> AsyncIterator[None]:
        """Let this block use Redis in bulk beside the service, whose shutter this process does not know.

        With a connection of its own that is patient: large pieces of work take their time on a slow machine.
        """
        if _beside.get() is not None:
            yield
            return
        with self.mending(), charging(RESIDUAL):
            async with RedisClient.open(self._engine.where, within_s=BESIDE_S, deadline_s=BESIDE_S) as client:
                token = _beside.set(client)
                try:
                    yield
                finally:
                    _beside.reset(token)

    def _pause(self, why: str) -> None:
        self.readable, self.why = False, why
        asked, self._asked = self._asked, deque()
        for future, _ in asked:
            if not future.done():
                future.set_exception(MemoryShut(why))

    def _slow(self, why: str) -> None:
        """It does not answer: send reads to the truth until it does."""
        self._pause(why)
        if self.open and (self._waking is None or self._waking.done()):
            self._waking = asyncio.create_task(self._wake(), name="Redis is slow")

    async def _wake(self) -> None:
        with charging(RESIDUAL):  # the reader who happened to notice did not ask for it
            while self.open and not self.readable:
                try:
                    await self.client("PING")
                except RedisTimeout:
                    continue
                except (EngineError, RedisError) as failure:
                    self._failed(failure)
                else:
                    if self.open:
                        self.readable = True
                        self.on_readable()

    # Asking

    async def ask(self, *command: Any) -> Any:
        """Send one command that only reads."""
        if not self.readable and not _mending.get():
            raise MemoryShut(self.why)
        try:
            # Where there is room, the client gives a plain future at once; else something to await that ends in time.
            answer: Awaitable[Any] = self._engine.client(*command)
            if isinstance(answer, asyncio.Future):
                self._watch(answer)
            return await answer
        except MemoryShut:
            raise
        except (EngineError, RedisError) as failure:
            raise self._failed(failure) from failure

    async def look(self, commands: Sequence[Command], *, atomic: bool = False) -> list[Any]:
        """Send several commands that only read."""
        if not self.readable and not _mending.get():
            raise MemoryShut(self.why)
        try:
            async with asyncio.timeout(self.deadline_s):
                return await self._engine.client.many(commands, atomic=atomic)
        except (EngineError, RedisError) as failure:
            raise self._failed(failure) from failure
        except TimeoutError as slow:
            why = f"no answer for {self.deadline_s * 1000:.0f} ms"
            self._slow(why)
            raise MemoryShut(why) from slow

    async def tell(self, commands: Sequence[Command], *, atomic: bool = False) -> list[Any]:
        """Send commands that change what the next read must see, and what they depend on."""
        if not self.open and not _mending.get():
            raise MemoryShut(self.why)
        try:
            return await self._many(commands, atomic, TELL_S)
        except (EngineError, RedisError, TimeoutError) as failure:
            raise self._failed(failure) from failure

    async def work(self, commands: Sequence[Command], *, atomic: bool = False) -> list[Any]:
        """Send commands that nobody waits for and that may be sent again, also while Redis is shut but there."""
        try:
            return await self._many(commands, atomic, WORK_S)
        except RedisError as failure:
            if str(failure).startswith(_FULL):  # it says what it did not do, and what it holds is as right as before
                raise MemoryShut(_why(failure)) from failure
            raise self._failed(failure) from failure
        except (EngineError, TimeoutError) as failure:
            raise MemoryShut(_why(failure)) from failure

    async def _many(self, commands: Sequence[Command], atomic: bool, within_s: float) -> list[Any]:
        patient = _beside.get()
        async with asyncio.timeout(within_s if patient is None else BESIDE_S):
            return await (patient or self._engine.client).many(commands, atomic=atomic)

    def _failed(self, failure: BaseException) -> MemoryShut:
        why = _why(failure)
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
        else:
            self._slow(f"no answer for {self.deadline_s * 1000:.0f} ms")


def _why(failure: BaseException) -> str:
    return failure.why if isinstance(failure, EngineError) else str(failure) or "no answer in time"
