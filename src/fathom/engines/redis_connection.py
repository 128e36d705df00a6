"""One connection to a Redis: what is asked on it leaves in one write per turn of the loop, and answers never mix."""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, cast
from urllib.parse import parse_qsl, unquote, urlsplit

import hiredis

from fathom.engines.engine import EngineBusy, EngineDown, EngineUnknown
from fathom.engines.ledger import RESIDUAL, work
from fathom.errors import FathomError

__all__ = [
    "Address",
    "Command",
    "Connection",
    "Part",
    "RedisBusy",
    "RedisDown",
    "RedisError",
    "RedisLost",
    "RedisTimeout",
    "not_connected",
    "pack",
]

Part = bytes | str | int | float  # what a command is made of
Command = Sequence[Part]

WRITE_BYTES = 256 * 1024  # at most this much is handed to the transport at once
SOCKET_BUFFER_BYTES = 1024 * 1024  # what the transport may hold before it asks us to stop

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


class Connection(asyncio.Protocol):
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
            raise not_connected(self.address, self.closed.result())
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
                    not_connected(self.address, reason)
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


def not_connected(address: Address, why: str) -> RedisDown:
    return RedisDown(
        f"there is no connection to Redis at {address}",
        why=why,
        fix="nothing was sent; do without it, or wait until it is up again",
    )
