"""A Redis client that pipelines by itself: one connection, one write per turn of the loop, answers never mixed up."""

from __future__ import annotations

import asyncio
import hashlib
import os
import random
import ssl
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, cast
from urllib.parse import parse_qsl, unquote, urlsplit

import hiredis

from fathom.engines.engine import EngineBusy, EngineDown, EngineUnknown
from fathom.engines.ledger import RESIDUAL, charge, operation, work
from fathom.errors import FathomError

__all__ = [
    "Address",
    "RedisBusy",
    "RedisClient",
    "RedisDown",
    "RedisError",
    "RedisLost",
    "RedisTimeout",
    "Script",
]

Part = bytes | str | int | float  # what a command is made of
Command = Sequence[Part]

SLICE_COMMANDS = 256  # a long pipeline is packed and sent in slices, so that others get their turn between them
WRITE_BYTES = 256 * 1024  # at most this much is handed to the transport at once
SOCKET_BUFFER_BYTES = 1024 * 1024  # what the transport may hold before it asks us to stop
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

pack = cast(Callable[[Command], bytes], hiredis.pack_command)  # its own annotation allows only one part


class RedisError(Exception):
    """Redis understood the command and answered with an error: `WRONGTYPE …`. It belongs to that command alone."""


class RedisDown(EngineDown):
    """There is no connection: the command was not sent."""


class RedisBusy(EngineBusy):
    """There was no room for the command before its deadline: it was not sent."""


class RedisLost(EngineUnknown):
    """The connection broke after the command was sent: it may have been carried out."""


class RedisTimeout(EngineUnknown):
    """No answer before the deadline: the command may have been, or may yet be, carried out."""


@dataclass(frozen=True)
class Address:
    """Where a Redis is and how to introduce oneself there. Its text never shows the password."""

    host: str = ""
    port: int = 6379
    path: str | None = None  # of a unix socket, instead of host and port
    database: int = 0
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    tls: bool = False
    ca: str | None = None  # who must have signed its certificate (PEM), if not those whom this machine trusts

    @classmethod
    def parse(cls, url: str) -> Address:
        """Read `redis://[user:password@]host[:port][/database]`, `rediss://…` or `unix://[:password@]/path[?db=0]`.

        `rediss://…?ca=FILE` says by whom the server's certificate must have been signed.
        """

        def wrong(why: str) -> FathomError:
            shown = url.split("@")[-1] if "@" in url else url
            return FathomError(
                f"this is not the address of a Redis: …{shown}" if "@" in url else f"'{shown}' is not a Redis URL",
                why=why,
                fix="write redis://127.0.0.1:6379/0, rediss://user:password@host:6379/0 or unix:///path/to/redis.sock",
            )

        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError as error:
            raise wrong(str(error)) from None
        user = unquote(parts.username) if parts.username else None
        password = unquote(parts.password) if parts.password else None
        if parts.scheme == "unix":
            if not parts.path.startswith("/"):
                raise wrong("a unix socket is named by its absolute path")
            database = dict(parse_qsl(parts.query)).get("db", "0")
            where = cls(path=unquote(parts.path), user=user, password=password)
        elif parts.scheme in ("redis", "rediss"):
            if not parts.hostname:
                raise wrong("it names no host")
            database = parts.path.strip("/") or "0"
            tls = parts.scheme == "rediss"
            ca = dict(parse_qsl(parts.query)).get("ca") if tls else None
            where = cls(host=parts.hostname, port=port or 6379, user=user, password=password, tls=tls, ca=ca)
        else:
            raise wrong(f"its scheme is '{parts.scheme}'")
        if not database.isascii() or not database.isdigit():
            raise wrong(f"'{database}' is not a database number")
        return replace(where, database=int(database))

    def __str__(self) -> str:
        if self.path is not None:
            return f"unix://{self.path}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'rediss' if self.tls else 'redis'}://{host}:{self.port}/{self.database}"

    @property
    def greeting(self) -> list[Command]:
        """The commands that a new connection begins with; the PING shows whether Redis is still loading its data."""
        login = () if self.password is None else (("AUTH", *([self.user] if self.user else []), self.password),)
        return [*login, ("CLIENT", "SETNAME", f"fathom-{os.getpid()}"), ("SELECT", self.database), ("PING",)]


class _Batch(NamedTuple):
    """Several commands that went out together and are answered together."""

    want: int
    got: list[Any]


# What waits for an answer: its future, the operation it is charged to, when it expires, its bytes, its batch or None.
# A plain tuple: one is made for every command. It keeps its place when its caller gives up, so answers never shift.
_Sent = tuple["asyncio.Future[Any]", str, float, int, "_Batch | None"]

_NOT_YET = object()


def _weight(answer: Any) -> int:
    """Return an answer's payload bytes: its strings, and eight for a number."""
    if type(answer) is bytes:
        return len(answer)
    if type(answer) is list:
        return sum(map(_weight, answer))
    return 0 if answer is None else 8 if type(answer) is int else len(str(answer))


class _Connection(asyncio.Protocol):
    """One connection and the queue of what was sent on it; a new connection begins with an empty one.

    Answers come in the order of the commands, so the queue is all there is to match them. Deadlines are equal for all,
    so the queue is in their order too, and one timer at its first living entry serves everybody.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, address: Address, deadline_s: float, silence_s: float) -> None:
        self.loop, self.address, self.deadline_s, self.silence_s = loop, address, deadline_s, silence_s
        self.closed: asyncio.Future[str] = loop.create_future()  # gets the reason once it is lost
        self.on_lost: Callable[[str], None] | None = None  # told at once, before those who wait for an answer are
        self.outstanding_bytes = 0
        self.roomier: asyncio.Future[None] | None = None  # somebody waits for answers to make room
        self._reader = hiredis.Reader(replyError=RedisError, notEnoughData=_NOT_YET)
        self.sent: deque[_Sent] = deque()
        self.batched = 0  # how many more commands than entries there are, because of batches
        self._out: deque[bytes] = deque()  # packed but not yet written: one for each of the last entries of `_sent`
        self._transport: asyncio.Transport | None = None
        self._new_future = loop.create_future
        self._flushing = self._paused = False
        self._expires = self._heard = 0.0
        self._sweeper: asyncio.TimerHandle | None = None

    # Sending

    def put(self, packed: bytes, op: str) -> asyncio.Future[Any]:
        """Take a packed command; it leaves with the one write of this turn of the loop."""
        if not self._flushing:
            self._begin_turn()
        future = self._new_future()
        size = len(packed)
        self.sent.append((future, op, self._expires, size, None))
        self._out.append(packed)
        self.outstanding_bytes += size
        return future

    def put_batch(self, packed: bytes, op: str, want: int) -> asyncio.Future[list[Any]]:
        """Take several packed commands; their answers come as one list, errors in their places."""
        future = self.put(packed, op)
        self.sent[-1] = (*self.sent[-1][:4], _Batch(want, []))
        self.batched += want - 1
        return future

    @property
    def outstanding(self) -> int:
        """How many commands have no answer yet."""
        return len(self.sent) + self.batched

    def _begin_turn(self) -> None:
        """Do once what all commands of this turn of the loop share."""
        if self.closed.done():  # lost within this turn: whoever was told so and asks again is asking in vain
            raise _down(self.address, self.closed.result())
        loop = self.loop
        self._flushing = True
        loop.call_soon(self._flush)
        now = loop.time()
        self._expires = now + self.deadline_s
        if self._sweeper is None:
            self._heard = now  # silence is counted from when there is something to be heard
            self._sweeper = loop.call_at(self._expires, self._sweep)

    def _flush(self) -> None:
        self._flushing = False
        out, transport = self._out, self._transport
        if transport is None or self.closed.done():
            return
        while out and not self._paused:
            if self.outstanding_bytes <= WRITE_BYTES:
                chunk = b"".join(out)
                out.clear()
            else:
                parts, size = [], 0
                while out and size < WRITE_BYTES:
                    parts.append(out.popleft())
                    size += len(parts[-1])
                chunk = b"".join(parts)
            transport.write(chunk)

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        self._flush()

    # Receiving

    def data_received(self, data: bytes) -> None:
        self._heard = self.loop.time()
        self._reader.feed(data)
        take, sent = self._reader.gets, self.sent
        charged, commands, size, freed = RESIDUAL, 0, 0, 0
        try:
            while (answer := take()) is not _NOT_YET:
                future, op, _, bytes_sent, batch = sent[0]
                if op is not charged:
                    _charge(charged, commands, size)
                    charged, commands, size = op, 0, 0
                if batch is None and type(answer) is bytes:  # by far the most
                    commands += 1
                    size += bytes_sent + len(answer)
                    if not future.done():
                        future.set_result(answer)
                else:
                    size += _weight(answer)
                    if batch is None:
                        commands += 1
                    else:
                        batch.got.append(answer)
                        if len(batch.got) < batch.want:
                            continue
                        answer = batch.got
                        commands += batch.want
                        self.batched -= batch.want - 1
                    size += bytes_sent
                    if future.done():
                        pass
                    elif type(answer) is RedisError:
                        future.set_exception(answer)
                    else:
                        future.set_result(answer)
                freed += bytes_sent
                del sent[0]
        except hiredis.ProtocolError as error:
            self.drop(f"it does not speak Redis' protocol: {error}")
        except IndexError:
            self.drop("it answered a question that nobody had asked")
        _charge(charged, commands, size)
        self.outstanding_bytes -= freed
        if (roomier := self.roomier) is not None and not roomier.done():
            roomier.set_result(None)

    # Deadlines

    def _sweep(self) -> None:
        """Time out what is over its deadline; drop a connection that has been silent for too long."""
        self._sweeper = None
        now = self.loop.time()
        following: float | None = None
        for future, _, expires, _, _ in self.sent:
            if expires > now:
                following = expires
                break
            if not future.done():
                future.set_exception(
                    RedisTimeout(
                        f"Redis at {self.address} did not answer within {self.deadline_s:g} s",
                        why="it is slow, stopped or cut off; the command may still be carried out",
                        fix="treat its effect as unknown: read before writing again",
                    )
                )
        if not self.sent:
            return
        dead_at = self._heard + self.silence_s
        if now >= dead_at:
            self.drop(f"it has said nothing for {now - self._heard:.2f} s while commands were waiting")
            return
        self._sweeper = self.loop.call_at(dead_at if following is None else min(following, dead_at), self._sweep)

    # Beginning and end

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport = cast(asyncio.Transport, transport)
        transport.set_write_buffer_limits(high=SOCKET_BUFFER_BYTES)
        self._flush()

    def drop(self, reason: str) -> None:
        """Give the connection up at once, whatever the other side thinks."""
        self._lose(reason)
        if self._transport is not None:
            self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._lose(f"the connection broke: {exc}" if exc else "Redis closed the connection")

    def _lose(self, reason: str) -> None:
        if self.closed.done():
            return
        self.closed.set_result(reason)
        self._flushing = False
        if self.on_lost is not None:
            self.on_lost(reason)
        if self._sweeper is not None:
            self._sweeper.cancel()
            self._sweeper = None
        unsent = len(self.sent) - len(self._out)
        for index, (future, op, _, size, batch) in enumerate(self.sent):
            if index < unsent:  # it left, so it counts, though no answer came
                _charge(op, 1 if batch is None else batch.want, size)
            if not future.done():
                future.set_exception(
                    _down(self.address, reason)
                    if index >= unsent
                    else RedisLost(
                        f"the connection to Redis at {self.address} was lost with this command under way",
                        why=reason,
                        fix="treat its effect as unknown: read before writing again",
                    )
                )
        self.sent.clear()
        self._out.clear()
        self.outstanding_bytes = self.batched = 0
        if self.roomier is not None and not self.roomier.done():
            self.roomier.set_result(None)


def _charge(op: str, commands: int, size: int) -> None:
    """Charge commands to an operation when their answer has come, or is not to be expected any more."""
    if commands or size:
        work.add(op, "commands", commands)
        work.add(op, "bytes", size)


def _down(address: Address, why: str) -> RedisDown:
    return RedisDown(
        f"there is no connection to Redis at {address}",
        why=why,
        fix="nothing was sent; do without it, or wait until it is up again",
    )


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
        self._connection: _Connection | None = None
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
            raise _down(self.address, self._why) from None

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
            raise _down(self.address, self._why)
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

    async def _room(self, commands: int, size: int) -> _Connection:
        """Wait, in line and at most until the deadline, until so much may be outstanding."""
        if self._waiting >= WAITING_MAX:
            raise self._busy(f"{WAITING_MAX} callers already wait for room")
        self._waiting += 1
        try:
            async with asyncio.timeout(self.deadline_s), self._turn:
                while True:
                    connection = self._connection
                    if connection is None:
                        raise _down(self.address, self._why)
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
            connection: _Connection | None = None
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

    async def _connect(self) -> _Connection:
        """Make a connection on which Redis has answered a PING; raise OSError or RedisError when that fails."""
        loop = asyncio.get_running_loop()
        address = self.address

        def protocol() -> _Connection:
            return _Connection(loop, address, self.deadline_s, 2 * self.deadline_s)

        connection: _Connection | None = None
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
