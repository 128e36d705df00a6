"""Raw HTTP/1.1 connections: what load is sent through and what remote clients ask through, as lean as it can be."""

from __future__ import annotations

import asyncio
import os
import random
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from functools import partial
from typing import NamedTuple, cast
from urllib.parse import urlsplit

from fathom.engines.engine import EngineDown, EngineUnknown
from fathom.errors import FathomError

__all__ = ["Answer", "Late", "Lost", "NotSent", "Wire", "header", "request"]

HEAD_BYTES_MAX = 64 * 1024
BODY_BYTES_MAX = 64 * 1024 * 1024
SHAPES_MAX = 1_000  # remembered header blocks
BACKOFF_S_MIN, BACKOFF_S_MAX = 0.01, 0.25


class Answer(NamedTuple):
    """A response. `headers` is the block as it came, from the status line to the last header; see `header`."""

    status: int
    headers: bytes
    body: bytes


class NotSent(EngineDown):
    """There was no connection, or none free before the deadline: the request was surely not carried out."""


class Lost(EngineUnknown):
    """The connection broke before the whole answer had come: the request may have been carried out."""


class Late(EngineUnknown):
    """No whole answer before the deadline: the request may have been, or may yet be, carried out."""


Done = Callable[[Answer | Exception], object]


def request(
    method: str, path: str, *, headers: Iterable[tuple[str, str]] = (), body: bytes = b"", host: str = "fathom"
) -> bytes:
    """Return a request as bytes, to be sent as often as one likes.

    >>> request("GET", "/home")
    b'GET /home HTTP/1.1\\r\\nHost: fathom\\r\\n\\r\\n'
    """
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", *(f"{name}: {value}" for name, value in headers)]
    if body or method in ("POST", "PUT", "PATCH"):
        lines.append(f"Content-Length: {len(body)}")
    if any("\r" in line or "\n" in line for line in lines) or " " in path:
        raise ValueError(f"a request line or header would break in two: {method} {path!r}")
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


def header(answer: Answer, name: bytes) -> bytes | None:
    """Return the value of a response header (the first of that name), or None.

    >>> header(Answer(200, b"HTTP/1.1 200 OK\\r\\nX-Source: cache", b""), b"x-source")
    b'cache'
    """
    wanted = name.lower()
    for line in answer.headers.split(b"\r\n")[1:]:
        found, _, value = line.partition(b":")
        if found.lower() == wanted:
            return value.strip()
    return None


# How a response's body is delimited, where not by a length.
_CHUNKED, _UNTIL_CLOSE, _INTERIM = -1, -2, -3


class _Shape(NamedTuple):
    """What a header block means: its status, the length of the body (or how else it ends), whether to go on after."""

    status: int
    length: int
    keep: bool


def _shape(head: bytes) -> _Shape:
    """Read a header block; raise ValueError when it is not one that we can trust."""
    line, *rest = head.split(b"\r\n")
    if not line.startswith(b"HTTP/1.") or not line[9:12].isdigit() or line[8:9] != b" ":
        raise ValueError(f"this is not HTTP/1.1: {line[:60]!r}")
    status = int(line[9:12])
    length: int | None = None
    chunked, keep = False, line[7:8] != b"0"
    for each in rest:
        name, colon, value = each.partition(b":")
        name, value = name.lower(), value.strip()
        if not colon:
            raise ValueError(f"this is not a header: {each[:60]!r}")
        if name == b"content-length":
            if not value.isdigit() or length not in (None, int(value)):
                raise ValueError(f"this is not a length: {value[:60]!r}")
            length = int(value)
        elif name == b"transfer-encoding":
            if value.lower() != b"chunked":
                raise ValueError(f"an unknown transfer encoding: {value[:60]!r}")
            chunked = True
        elif name == b"connection":
            keep = keep and b"close" not in value.lower()
    if 100 <= status < 200:
        return _Shape(status, _INTERIM, keep)
    if status in (204, 304):
        return _Shape(status, 0, keep)
    if chunked:
        return _Shape(status, _CHUNKED, keep)
    if length is None:
        return _Shape(status, _UNTIL_CLOSE, False)
    if length > BODY_BYTES_MAX:
        raise ValueError(f"a body of {length} bytes is more than the {BODY_BYTES_MAX} that we hold")
    return _Shape(status, length, keep)


class _Connection(asyncio.Protocol):
    """One connection with at most one request under way: no pipelining, so an answer cannot meet the wrong question."""

    def __init__(self, wire: Wire, loop: asyncio.AbstractEventLoop) -> None:
        self.wire = wire
        self.closed: asyncio.Future[None] = loop.create_future()
        self.done: Done | None = None  # None: idle
        self.answered = False  # at least once
        self.expires = 0.0
        self.asked = b""
        self.transport = cast(asyncio.Transport, None)
        self._held = bytearray()  # what has come but cannot be read yet
        self._shape: _Shape | None = None  # of the response whose body is coming
        self._head = b""
        self._parts: list[bytes] = []
        self._size = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        if self._held or self._shape is not None:
            self._piecewise(data)
            return
        end = data.find(b"\r\n\r\n")
        head = data[:end]
        shape = self.wire.shapes.get(head) if end > 0 else None
        if shape is None or shape.length != len(data) - end - 4 or not shape.keep:
            self._piecewise(data)
            return
        # By far the most: one whole response in one piece, with a header block that has been seen before.
        done = self.done
        if done is None:
            self.break_off("it answered a question that nobody had asked")
            return
        self.done, self.answered = None, True
        self.wire.settle(done, Answer(shape.status, head, data[end + 4 :]))
        self.wire.free(self)

    def _piecewise(self, data: bytes) -> None:
        """Read what came in pieces, in chunks, or with a header block that is new."""
        self._held += data
        if self.done is None:
            self.break_off("it answered a question that nobody had asked")
            return
        try:
            whole = self._read()
        except ValueError as error:
            self.break_off(str(error))
            return
        if whole:
            self._finish()

    def _read(self) -> bool:
        """Take from `_held` what can be read; return whether the response is whole."""
        held = self._held
        while self._shape is None:
            end = held.find(b"\r\n\r\n")
            if end < 0:
                if len(held) > HEAD_BYTES_MAX:
                    raise ValueError(f"its headers are more than {HEAD_BYTES_MAX} bytes")
                return False
            head = bytes(held[:end])
            shape = _shape(head)
            del held[: end + 4]
            if shape.length == _INTERIM:
                continue
            if len(self.wire.shapes) >= SHAPES_MAX:
                self.wire.shapes.clear()
            self.wire.shapes[head] = shape
            if self.asked.startswith(b"HEAD "):
                shape = shape._replace(length=0)
            self._head, self._shape = head, shape
        if self._shape.length == _CHUNKED:
            return self._read_chunks()
        self._size += len(held)
        self._parts.append(bytes(held))
        held.clear()
        if self._size > BODY_BYTES_MAX:
            raise ValueError(f"its body is more than the {BODY_BYTES_MAX} bytes that we hold")
        if self._shape.length != _UNTIL_CLOSE and self._size > self._shape.length:
            raise ValueError("it sent more than it had announced")
        return self._size == self._shape.length

    def _read_chunks(self) -> bool:
        held = self._held
        while (line_end := held.find(b"\r\n")) >= 0:
            size = int(bytes(held[:line_end]).partition(b";")[0], 16)
            if size == 0:  # then trailers, which nobody here reads, and an empty line
                end = held.find(b"\r\n\r\n", line_end)
                if end < 0:
                    return False
                if end + 4 != len(held):
                    raise ValueError("it sent more than it had announced")
                held.clear()
                return True
            following = line_end + 2 + size + 2
            if size < 0 or self._size + size > BODY_BYTES_MAX:
                raise ValueError(f"its body is more than the {BODY_BYTES_MAX} bytes that we hold")
            if len(held) < following:
                return False
            if held[following - 2 : following] != b"\r\n":
                raise ValueError("a chunk does not end where it said")
            self._parts.append(bytes(held[line_end + 2 : following - 2]))
            self._size += size
            del held[:following]
        if len(held) > HEAD_BYTES_MAX:
            raise ValueError("a chunk does not say how long it is")
        return False

    def _finish(self) -> None:
        shape, done = cast(_Shape, self._shape), cast(Done, self.done)
        answer = Answer(shape.status, self._head, b"".join(self._parts))
        self.done = self._shape = None
        self.answered = True
        self._parts, self._size = [], 0
        if not shape.keep:
            self.retire()
        self.wire.settle(done, answer)
        if shape.keep:
            self.wire.free(self)

    def retire(self) -> None:
        """Leave: the wire makes another connection in this one's place."""
        if not self.closed.done():
            self.closed.set_result(None)
            self.wire.lose(self)
            self.transport.abort()

    def break_off(self, why: str) -> None:
        """Fail the request under way, whose fate is unknown now, and leave."""
        done, self.done = self.done, None
        self.retire()
        if done is not None:
            self.wire.settle(
                done,
                Lost(
                    f"the connection to {self.wire.where} broke before the answer had come",
                    why=why,
                    fix="treat the request's effect as unknown: read before asking again",
                ),
            )

    def connection_lost(self, exc: Exception | None) -> None:
        if self.done is not None and self._shape is not None and self._shape.length == _UNTIL_CLOSE and exc is None:
            self._finish()
        else:
            self.break_off(str(exc) if exc else "the other side closed it")


class Wire:
    """A pool of keep-alive connections to one HTTP server, `http://host:port` or `unix:/path`.

    `ask` awaits an answer; `fire` calls back with it and makes no task. A request has `deadline_s` from when it was
    asked, waiting for a free connection included. What fails says what became of it: NotSent is sure, Lost and Late
    (both TimeoutErrors) are unknown. An answer of any status is an answer.
    """

    def __init__(
        self, where: str, *, connections: int = 64, deadline_s: float = 5.0, waiting_max: int = 100_000, seed: int = 0
    ) -> None:
        self.where, self.connections, self.deadline_s, self.waiting_max = where, connections, deadline_s, waiting_max
        self._host, self._port, self._path = _place(where)
        self._dice = random.Random(f"{seed}/{os.getpid()}")  # jitter of reconnection
        self.shapes: dict[bytes, _Shape] = {}
        self._idle: list[_Connection] = []
        self._live: set[_Connection] = set()
        self._waiting: deque[tuple[bytes, Done, float]] = deque()
        self._why: str | None = "it is not open"  # why no request can be sent now, or may be soon
        self._loop = cast(asyncio.AbstractEventLoop, None)
        self._sweeper: asyncio.TimerHandle | None = None
        self._untried = 0  # connections that were not even attempted yet
        self._tried = asyncio.Event()
        self._risen = asyncio.Event()

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Wire]:
        """Hold the connections open for the length of a block; raise NotSent when not one can be made.

        The block is entered when each has been tried, so that no request pays for the first connecting.
        """
        loop = self._loop = asyncio.get_running_loop()
        self._why = None
        self._untried, self._tried = self.connections, asyncio.Event()
        keepers = [
            loop.create_task(self._keep_connected(), name=f"wire {self.where} {n}") for n in range(self.connections)
        ]
        try:
            await self._tried.wait()
            if not self._live:
                raise self._not_sent()
            yield self
        finally:
            for keeper in keepers:
                keeper.cancel()
            await asyncio.gather(*keepers, return_exceptions=True)
            self._why = "it was closed"
            self._fail_waiting()
            if self._sweeper is not None:
                self._sweeper.cancel()
                self._sweeper = None

    @property
    def up(self) -> bool:
        """Whether there is at least one connection."""
        return bool(self._live)

    async def wait_up(self, deadline_s: float | None = None) -> None:
        """Return once there is a connection; raise NotSent when that takes longer than `deadline_s`."""
        try:
            async with asyncio.timeout(deadline_s):
                await self._risen.wait()
        except TimeoutError:
            raise self._not_sent() from None

    # Asking

    async def ask(self, request: bytes) -> Answer:
        """Send a request as soon as a connection is free, and return its answer."""
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        done = partial(_resolve, future)
        self.fire(request, done)
        try:
            return await future
        except asyncio.CancelledError:
            for waiting in self._waiting:
                if waiting[1] is done:  # not sent yet, so it need not be
                    self._waiting.remove(waiting)
                    break
            raise

    def fire(self, request: bytes, done: Done) -> None:
        """Send a request as soon as a connection is free; call `done` with the Answer or with what went wrong.

        Where nothing can be sent at all, `done` is called before this returns.
        """
        expires = self._loop.time() + self.deadline_s
        if self._idle:
            connection = self._idle.pop()
            connection.done, connection.expires, connection.asked = done, expires, request
            connection.transport.write(request)
        elif self._why is not None:
            self.settle(done, self._not_sent())
            return
        elif len(self._waiting) >= self.waiting_max:
            self.settle(done, self._not_sent(f"{self.waiting_max} requests already wait for a connection"))
            return
        else:
            self._waiting.append((request, done, expires))
        if self._sweeper is None:
            self._sweeper = self._loop.call_at(expires, self._sweep)

    def settle(self, done: Done, what: Answer | Exception) -> None:
        """Hand a request's end to whoever waits for it; their faults must not break the wire."""
        try:
            done(what)
        except Exception as error:
            self._loop.call_exception_handler({"message": "a wire's callback failed", "exception": error})

    def free(self, connection: _Connection) -> None:
        """Give a connection that has been answered its next request, or let it rest."""
        if connection.done is not None or connection.closed.done():
            return
        if self._waiting:
            request, connection.done, connection.expires = self._waiting.popleft()
            connection.asked = request
            connection.transport.write(request)
        else:
            self._idle.append(connection)

    def lose(self, connection: _Connection) -> None:
        """Forget a connection that is gone."""
        self._live.discard(connection)
        if not self._live:
            self._risen.clear()
        if connection in self._idle:
            self._idle.remove(connection)

    def _not_sent(self, why: str | None = None) -> NotSent:
        return NotSent(
            f"a request to {self.where} was not sent",
            why=why or self._why or "no connection was free before its deadline",
            fix="nothing was done; ask again once it answers",
        )

    def _fail_waiting(self) -> None:
        while self._waiting:
            self.settle(self._waiting.popleft()[1], self._not_sent())

    def _sweep(self) -> None:
        """End what is over its deadline; look again when the next one can be."""
        self._sweeper = None
        now = self._loop.time()
        while self._waiting and self._waiting[0][2] <= now:
            self.settle(self._waiting.popleft()[1], self._not_sent())
        following = self._waiting[0][2] if self._waiting else None
        for connection in list(self._live):
            done = connection.done
            if done is None:
                continue
            if connection.expires > now:
                following = connection.expires if following is None else min(following, connection.expires)
                continue
            connection.done = None
            connection.retire()  # its answer, should it come, is nobody's any more
            self.settle(
                done,
                Late(
                    f"{self.where} did not answer within {self.deadline_s:g} s",
                    why="it is slow, stopped or cut off; the request may still be carried out",
                    fix="treat its effect as unknown: read before asking again",
                ),
            )
        if following is not None and self._sweeper is None:
            self._sweeper = self._loop.call_at(following, self._sweep)

    # Staying connected

    async def _keep_connected(self) -> None:
        """Keep one connection: make it, wait until it is gone, make it again."""
        backoff_s = BACKOFF_S_MIN
        while True:
            connection: _Connection | None = None
            try:
                connection = await self._connect()
                self._live.add(connection)
                self._why = None
                self._risen.set()
                self.free(connection)
                self._count_try()
                await asyncio.shield(connection.closed)
                if connection.answered:
                    backoff_s = BACKOFF_S_MIN
                    continue  # it served its time: a server may end a connection whenever it likes
            except OSError as error:  # a timeout too
                if not self._live:
                    self._why = str(error) or f"no connection within {self.deadline_s:g} s"
                    self._fail_waiting()
                self._count_try()
            finally:
                if connection is not None:
                    connection.break_off("the wire was closed")
            await asyncio.sleep(backoff_s * self._dice.uniform(0.5, 1.0))
            backoff_s = min(2 * backoff_s, BACKOFF_S_MAX)

    async def _connect(self) -> _Connection:
        async with asyncio.timeout(self.deadline_s):
            if self._path is not None:
                _, connection = await self._loop.create_unix_connection(self._protocol, self._path)
            else:
                _, connection = await self._loop.create_connection(self._protocol, self._host, self._port)
        return connection

    def _count_try(self) -> None:
        self._untried -= 1
        if self._untried == 0:
            self._tried.set()

    def _protocol(self) -> _Connection:
        return _Connection(self, self._loop)


def _place(where: str) -> tuple[str, int, str | None]:
    """Return host, port and path of what `where` names."""
    if where.startswith("unix:"):
        return "", 0, where.removeprefix("unix:").removeprefix("//")
    try:
        parts = urlsplit(where)
        host, port = parts.hostname, parts.port or 80
    except ValueError:
        parts, host, port = None, None, 0
    if parts is None or host is None or parts.scheme != "http" or parts.path not in ("", "/"):
        raise FathomError(
            f"'{where}' is not where an HTTP server can be",
            why="a wire goes to http://host:port or unix:/path/of/a/socket, and speaks plain HTTP/1.1",
            fix="write http://127.0.0.1:8080, or unix:/path/to/it.sock",
        )
    return host, port, None


def _resolve(future: asyncio.Future[Answer], what: Answer | Exception) -> None:
    if future.done():  # its caller has gone
        return
    if isinstance(what, Exception):
        future.set_exception(what)
    else:
        future.set_result(what)
