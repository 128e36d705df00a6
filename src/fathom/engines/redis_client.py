"""A Redis client that pipelines by itself and comes back by itself: commands, pipelines and scripts for many tasks."""

from __future__ import annotations

import asyncio
import hashlib
import os
import random
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

from fathom.engines.engine import EngineDown, EngineUnknown
from fathom.engines.ledger import RESIDUAL, charge, operation
from fathom.engines.redis_connection import (
    Address,
    Command,
    Connection,
    Part,
    RedisBusy,
    RedisDown,
    RedisError,
    RedisLost,
    not_connected,
    pack,
)
from fathom.errors import FathomError

__all__ = ["RedisClient", "Script"]

SLICE_COMMANDS = 256  # a long pipeline is packed and sent in slices, so that others get their turn between them
WAITING_MAX = 20_000  # callers that may wait for room; the next one is refused at once
BACKOFF_S_MIN, BACKOFF_S_MAX = 0.01, 0.25  # a local engine is back within milliseconds; nobody is helped by a storm

# Answers to the greeting that no waiting will change.
NEVER = ("WRONGPASS", "NOAUTH", "NOPERM", "ERR AUTH", "ERR Client sent AUTH", "ERR invalid password", "ERR DB index")

# These change what the answers on a shared connection mean, or hold up everybody behind them.
UNFIT = {
    *("SUBSCRIBE", "PSUBSCRIBE", "SSUBSCRIBE", "UNSUBSCRIBE", "PUNSUBSCRIBE", "SUNSUBSCRIBE"),
    *("MULTI", "EXEC", "DISCARD", "WATCH", "UNWATCH", "MONITOR", "SYNC", "PSYNC"),
    *("SELECT", "AUTH", "HELLO", "RESET", "QUIT"),
    *("BLPOP", "BRPOP", "BRPOPLPUSH", "BLMOVE", "BLMPOP", "BZPOPMIN", "BZPOPMAX", "BZMPOP", "WAIT", "WAITAOF"),
}


class RedisClient:
    """Commands for one Redis, over one connection that is made again whenever it breaks.

    `await client("GET", key)` returns Redis' answer (strings as bytes). Everything that many tasks ask in one turn of
    the event loop leaves in one write. What can go wrong tells what became of the command: RedisDown and RedisBusy
    mean it was not sent, RedisLost and RedisTimeout that nobody knows, RedisError that Redis said no.

    Commands and payload bytes are charged to the operation in whose context they were asked; what the connection
    needs for itself is residual.
    """

    def __init__(
        self,
        address: Address,
        *,
        deadline_s: float = 2.0,
        outstanding_max: int = 20_000,
        outstanding_bytes_max: int = 16 * 1024 * 1024,
        seed: int = 0,
    ) -> None:
        self.address, self.deadline_s = address, deadline_s
        self.outstanding_max, self.outstanding_bytes_max = outstanding_max, outstanding_bytes_max
        self.connections = 0  # how often one was made
        self._dice = random.Random(f"{seed}/{os.getpid()}")  # jitter: processes must not come back in step
        self._connection: Connection | None = None
        self._why = "it was never connected"
        self._risen = asyncio.Event()
        self._turn = asyncio.Lock()  # who waits for room waits in line
        self._waiting = 0
        self._fit: set[Part] = set()
        self._scripts: dict[str, Script] = {}
        self._on_up: list[Callable[[], object]] = []
        self._on_down: list[Callable[[], object]] = []

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        url: str,
        *,
        within_s: float = 10.0,
        deadline_s: float = 2.0,
        outstanding_max: int = 20_000,
        outstanding_bytes_max: int = 16 * 1024 * 1024,
        seed: int = 0,
    ) -> AsyncIterator[RedisClient]:
        """Connect for the length of a block, and keep connected.

        Every command has `deadline_s` from when it is asked; after twice that without a word from Redis, while
        commands wait, the connection is taken for dead and made again.
        """
        client = cls(
            Address.parse(url),
            deadline_s=deadline_s,
            outstanding_max=outstanding_max,
            outstanding_bytes_max=outstanding_bytes_max,
            seed=seed,
        )
        keeping = asyncio.create_task(client._keep_connected(), name=f"redis {client.address}")
        rising = asyncio.ensure_future(client._risen.wait())
        try:
            done, _ = await asyncio.wait({rising, keeping}, timeout=within_s, return_when=asyncio.FIRST_COMPLETED)
            if keeping in done:
                keeping.result()
            if not client.up:
                raise RedisDown(
                    f"no Redis answers at {client.address}",
                    why=f"after {within_s:g} s: {client._why}",
                    fix="start it, or correct its URL",
                )
            yield client
        finally:
            rising.cancel()
            keeping.cancel()
            with suppress(asyncio.CancelledError, FathomError):
                await keeping

    # State

    @property
    def up(self) -> bool:
        """Whether there is a connection on which Redis has answered."""
        return self._connection is not None

    async def wait_up(self, deadline_s: float | None = None) -> None:
        """Return once it is up; raise RedisDown when that takes longer than `deadline_s` (default: for ever)."""
        try:
            async with asyncio.timeout(deadline_s):
                await self._risen.wait()
        except TimeoutError:
            raise not_connected(self.address, self._why) from None

    def on_up(self, callback: Callable[[], object]) -> None:
        """Call this whenever a connection has been made (again)."""
        self._on_up.append(callback)

    def on_down(self, callback: Callable[[], object]) -> Callable[[], None]:
        """Call this whenever the connection has been lost; return what undoes it."""
        self._on_down.append(callback)
        return lambda: self._on_down.remove(callback)

    # Asking

    def __call__(self, *command: Part) -> Awaitable[Any]:
        """Send one command; await its answer. (A plain future, where there is room: a coroutine would cost more.)"""
        if command[0] not in self._fit:
            self._admit(command[0])
        connection = self._connection
        if connection is None:
            raise not_connected(self.address, self._why)
        packed = pack(command)
        if (
            self._waiting
            or len(connection.sent) + connection.batched >= self.outstanding_max  # `outstanding`, spared a call
            or connection.outstanding_bytes >= self.outstanding_bytes_max
        ):
            return self._later(packed)
        return connection.put(packed, operation.get())

    async def _later(self, packed: bytes) -> Any:
        connection = await self._room(1, len(packed))
        return await connection.put(packed, operation.get())

    async def unlink(self, match: str) -> None:
        """Let go of every key whose name fits a pattern, a thousand at a time, so that nobody waits behind it."""
        cursor: Any = b"0"
        while True:
            cursor, keys = await self("SCAN", cursor, "MATCH", match, "COUNT", 1_000)
            if keys:
                await self("UNLINK", *keys)
            if cursor == b"0":
                return

    async def many(
        self, commands: Sequence[Command], *, atomic: bool = False, return_errors: bool = False
    ) -> list[Any]:
        """Send several commands at once and return their answers in order.

        Other callers' commands may come between them, unless `atomic`: then they are wrapped in MULTI and EXEC, and
        all are carried out or none. The first error that Redis answered with is raised once all are answered, or left
        in its place in the list with `return_errors`.
        """
        if not commands:
            return []
        for command in commands:
            if command[0] not in self._fit:
                self._admit(command[0])
        if atomic:
            answers = await (await self._slice([("MULTI",), *commands, ("EXEC",)]))
            if not isinstance(answers[-1], list):
                raise answers[-1]
            answers = answers[-1]
        elif len(commands) <= SLICE_COMMANDS:
            answers = await (await self._slice(commands))
        else:
            answers = await self._slices(commands)
        if not return_errors:
            for answer in answers:
                if isinstance(answer, RedisError):
                    raise answer
        return answers

    async def _slice(self, commands: Sequence[Command]) -> asyncio.Future[list[Any]]:
        """Send commands that nobody else's come between; return what will be their answers."""
        packed = b"".join([pack(tuple(command)) for command in commands])
        connection = self._connection
        if (
            connection is None
            or self._waiting
            or connection.outstanding + len(commands) > self.outstanding_max
            or connection.outstanding_bytes + len(packed) > self.outstanding_bytes_max
        ):
            connection = await self._room(len(commands), len(packed))
        return connection.put_batch(packed, operation.get(), len(commands))

    async def _slices(self, commands: Sequence[Command]) -> list[Any]:
        """Send a long pipeline in slices. Once one of them has left, what becomes of the whole can be unknown."""
        sent: list[asyncio.Future[list[Any]]] = []
        try:
            for first in range(0, len(commands), SLICE_COMMANDS):
                if first:
                    await asyncio.sleep(0)  # packing is work: let others have the loop between slices
                sent.append(await self._slice(commands[first : first + SLICE_COMMANDS]))
            return [answer for batch in sent for answer in await batch]
        except (RedisDown, RedisBusy) as error:
            if not sent:
                raise
            raise RedisLost(
                f"only a part of a pipeline was sent to Redis at {self.address}",
                why=error.what,
                fix="treat its effect as unknown: read before writing again",
            ) from error
        finally:
            for batch in sent:
                if not batch.cancel() and not batch.cancelled():
                    batch.exception()  # seen: one failure is enough to tell

    async def _room(self, commands: int, size: int) -> Connection:
        """Wait, in line and at most until the deadline, until so much may be outstanding."""
        if self._waiting >= WAITING_MAX:
            raise self._busy(f"{WAITING_MAX} callers already wait for room")
        self._waiting += 1
        try:
            async with asyncio.timeout(self.deadline_s), self._turn:
                while True:
                    connection = self._connection
                    if connection is None:
                        raise not_connected(self.address, self._why)
                    if not connection.outstanding or (
                        connection.outstanding + commands <= self.outstanding_max
                        and connection.outstanding_bytes + size <= self.outstanding_bytes_max
                    ):
                        return connection
                    connection.roomier = connection.loop.create_future()
                    await connection.roomier
        except TimeoutError as error:
            if isinstance(error, EngineUnknown):
                raise
            raise self._busy(f"{self.deadline_s:g} s were not enough to get through the queue") from None
        finally:
            self._waiting -= 1

    def _busy(self, why: str) -> RedisBusy:
        return RedisBusy(
            f"too many commands are waiting for Redis at {self.address}",
            why=why,
            fix="ask less at once; nothing was sent",
        )

    def _admit(self, name: Part) -> None:
        """Let a command's name pass, once and for all, unless it does not fit a shared connection."""
        plain = name.decode("ascii", "replace") if isinstance(name, bytes) else str(name)
        if plain.upper() in UNFIT:
            raise ValueError(f"{plain.upper()} does not fit a connection that many share; see RedisClient.many")
        if len(self._fit) < 1_000:
            self._fit.add(name)

    def script(self, source: str) -> Script:
        """Return a callable for a Lua script, always the same, sent whole only when Redis does not know it yet."""
        if source not in self._scripts:
            self._scripts[source] = Script(self, source)
        return self._scripts[source]

    # Staying connected

    async def _keep_connected(self) -> None:
        backoff_s = BACKOFF_S_MIN
        while True:
            connection: Connection | None = None
            try:
                connection = await self._connect()
                backoff_s = BACKOFF_S_MIN
                self._connection = connection
                connection.on_lost = self._fell
                self.connections += 1
                self._risen.set()
                self._tell(self._on_up)
                self._why = await asyncio.shield(connection.closed)
            except (EngineDown, EngineUnknown) as error:
                self._why = error.why
            except OSError as error:  # also a timeout
                self._why = str(error) or f"no answer within {self.deadline_s:g} s"
            except RedisError as error:
                self._why = f"it answered: {error}"
                if not self.connections and str(error).startswith(NEVER):
                    raise RedisDown(
                        f"Redis at {self.address} does not let us in",
                        why=self._why,
                        fix="correct the user, the password or the database number in its URL",
                    ) from None
            finally:
                if connection is not None:
                    connection.drop("the client was closed")
                    if self._connection is connection:  # lost before we could ask to be told
                        self._fell(connection.closed.result())
            await asyncio.sleep(backoff_s * self._dice.uniform(0.5, 1.0))
            backoff_s = min(2 * backoff_s, BACKOFF_S_MAX)

    def _fell(self, reason: str) -> None:
        """Be down from this very moment: whoever asks again in the same turn of the loop is told so."""
        self._connection, self._why = None, reason
        self._risen.clear()
        self._tell(self._on_down)

    async def _connect(self) -> Connection:
        """Make a connection on which Redis has answered a PING; raise OSError or RedisError when that fails."""
        loop = asyncio.get_running_loop()
        address = self.address

        def protocol() -> Connection:
            return Connection(loop, address, self.deadline_s, 2 * self.deadline_s)

        connection: Connection | None = None
        try:
            async with asyncio.timeout(self.deadline_s):
                if address.path is not None:
                    _, connection = await loop.create_unix_connection(protocol, address.path)
                else:
                    tls = ssl.create_default_context(cafile=address.ca) if address.tls else None
                    _, connection = await loop.create_connection(protocol, address.host, address.port, ssl=tls)
                greeting = address.greeting
                packed = b"".join([pack(tuple(command)) for command in greeting])
                answers = await connection.put_batch(packed, RESIDUAL, len(greeting))
                for command, answer in zip(greeting, answers, strict=True):
                    if isinstance(answer, RedisError) and command[0] != "CLIENT":  # a name is nice to have
                        raise answer
        except BaseException:
            if connection is not None:
                connection.drop("it was given up while connecting")
            raise
        return connection

    def _tell(self, callbacks: list[Callable[[], object]]) -> None:
        for callback in callbacks:
            asyncio.get_running_loop().call_soon(callback)


# Redis counts what a script calls. So that it is charged to somebody, a script says how many commands these were.
_COUNTED = """
local did = 0
local redis = setmetatable({call = function(...) did = did + 1 return redis.call(...) end}, {__index = redis})
local function script(KEYS, ARGV)
%s
end
local said = script(KEYS, ARGV)
if said == nil then said = false end
return {did, said}
"""


class Script:
    """A Lua script that Redis keeps by its digest. `await script(keys=[…], args=[…])`.

    The commands that it calls are charged to whoever runs it.
    """

    def __init__(self, client: RedisClient, source: str) -> None:
        self.source = _COUNTED % source
        self.digest = hashlib.sha1(self.source.encode(), usedforsecurity=False).hexdigest()
        self._client = client

    async def __call__(self, keys: Sequence[Part] = (), args: Sequence[Part] = ()) -> Any:
        try:
            return self.said(await self._client(*self.command(keys, args)))
        except RedisError as error:
            if not str(error).startswith("NOSCRIPT"):
                raise
            # Sent whole it is also kept.
            return self.said(await self._client("EVAL", self.source, len(keys), *keys, *args))

    def command(self, keys: Sequence[Part] = (), args: Sequence[Part] = ()) -> Command:
        """Return the EVALSHA for a pipeline; Redis must know the script by then (`await script.load()`)."""
        return ("EVALSHA", self.digest, len(keys), *keys, *args)

    def said(self, answer: Any) -> Any:
        """Return what a script said in a pipeline, and charge what it called."""
        did, said = answer
        charge("commands", did)
        return said

    async def load(self) -> None:
        await self._client("SCRIPT", "LOAD", self.source)
