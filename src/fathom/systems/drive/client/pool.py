"""HTTP/1.1 to one server over connections that are kept, each with one request under way at a time."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Iterable
from typing import NamedTuple
from urllib.parse import parse_qs, urlsplit

from fathom.errors import FathomError

__all__ = ["Answer", "Lost", "Pool", "Unsent"]

BODY_BYTES_MAX = 64 << 20
HEAD_BYTES_MAX = 64 << 10
IDLE_S = 20.0  # doors end a connection that has been idle for 30 s: what is sent just then would be lost
CONNECT_S = 10.0


class Unsent(Exception):
    """The request has not left: nothing was done."""


class Lost(Exception):
    """The connection broke after the request had left: nobody knows what was done."""


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes


class Head(NamedTuple):
    status: int
    headers: dict[str, str]


class Connection:
    """One connection. What breaks in the middle of an answer is never used again."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self.rests_since = 0.0
        self.good = True

    @property
    def fit(self) -> bool:
        """Whether the other side has not closed it, as far as is known."""
        return self.good and not self._reader.at_eof() and not self._writer.is_closing()

    async def send(self, head: bytes, body: bytes | bytearray | memoryview) -> Head:
        """Send a request; return the head of its answer."""
        self._writer.write(head)
        if body:
            self._writer.write(body)
        # Read beside writing: who is refused in the middle of a large body is told so, and then cut off.
        drained = asyncio.ensure_future(self._writer.drain())
        try:
            while True:
                raw = await self._reader.readuntil(b"\r\n\r\n")
                found = read_head(raw)
                if found.status >= 200:
                    return found
        finally:
            drained.cancel()
            with contextlib.suppress(asyncio.CancelledError, OSError):
                await drained

    async def body(self, head: Head, *, bytes_max: int = BODY_BYTES_MAX) -> bytes:
        """Read an answer's body."""
        if head.status in (204, 304):
            return b""
        if head.headers.get("transfer-encoding", "").lower() == "chunked":
            found = bytearray()
            async for part in self.chunks():
                found += part
                if len(found) > bytes_max:
                    raise Lost(f"an answer of more than {bytes_max:,} bytes")
            return bytes(found)
        length = head.headers.get("content-length", "")
        if not length.isdigit() or int(length) > bytes_max:
            raise Lost(f"an answer of {length or 'unknown'} bytes")
        return await self._reader.readexactly(int(length))

    async def chunks(self) -> AsyncIterator[bytes]:
        """Give the pieces of a body that is sent in pieces."""
        while size := int((await self._reader.readuntil(b"\r\n")).partition(b";")[0], 16):
            if size > BODY_BYTES_MAX:
                raise Lost(f"a piece of {size:,} bytes")
            piece = await self._reader.readexactly(size + 2)
            yield piece[:-2]
        while await self._reader.readuntil(b"\r\n") != b"\r\n":
            pass

    async def some(self, most: int) -> bytes:
        """Return what has come, whatever it belongs to; nothing: the other side has ended."""
        return await self._reader.read(most)

    def say(self, data: bytes) -> None:
        """Send bytes that are no request."""
        if data and not self._writer.is_closing():
            self._writer.write(data)

    def close(self) -> None:
        self.good = False
        self._writer.transport.abort()


class Pool:
    """Connections to a server, at most so many at once, opened when they are needed.

    `http://host:port`, or `https://host:port?ca=FILE` where its certificate is signed by one's own authority.
    """

    def __init__(self, url: str, *, connections: int = 8) -> None:
        self.host, self.port, self.tls = place(url)
        name = f"[{self.host}]" if ":" in self.host else self.host  # an IPv6 address
        self.where = f"{name}:{self.port}"
        self._room = asyncio.Semaphore(connections)
        self._idle: list[Connection] = []
        self._closed = False

    async def ask(
        self,
        method: str,
        path: str,
        headers: Iterable[tuple[str, str]] = (),
        body: bytes | bytearray | memoryview = b"",
        *,
        within_s: float,
    ) -> Answer:
        """Send a request and return its answer. Raises `Unsent`, `Lost`, or TimeoutError, after which it is unknown."""
        head = self.head(method, path, headers, body)
        sent = False
        try:
            async with asyncio.timeout(within_s), self._room:
                connection = self._rested() or await self.connect()
                sent = True
                try:
                    found = await connection.send(head, body)
                    answer = Answer(*found, b"" if method == "HEAD" else await connection.body(found))
                except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError) as broken:
                    connection.close()
                    raise Lost(f"the connection to {self.where} broke before the answer came ({broken})") from None
                except BaseException:
                    connection.close()
                    raise
                self._rest(connection, found)
                return answer
        except TimeoutError:
            if not sent:
                raise Unsent(f"no connection to {self.where} within {within_s:g} s") from None
            raise TimeoutError(f"{self.where} did not answer within {within_s:g} s") from None

    def head(
        self, method: str, path: str, headers: Iterable[tuple[str, str]], body: bytes | bytearray | memoryview
    ) -> bytes:
        """Return the head of a request."""
        lines = [f"{method} {path} HTTP/1.1", f"Host: {self.where}", *(f"{name}: {value}" for name, value in headers)]
        if body or method in ("POST", "PUT", "PATCH"):
            lines.append(f"Content-Length: {len(body)}")
        if " " in path or any("\r" in line or "\n" in line for line in lines):
            raise ValueError(f"a request would break in two: {method} {path!r}")
        return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"

    async def connect(self) -> Connection:
        """Return a new connection. Raises `Unsent`."""
        if self._closed:
            raise Unsent("it was closed")
        try:
            async with asyncio.timeout(CONNECT_S):
                reader, writer = await asyncio.open_connection(self.host, self.port, ssl=self.tls, limit=HEAD_BYTES_MAX)
        except OSError as error:  # a timeout, too
            raise Unsent(f"{self.where} cannot be reached: {error or 'no answer'}") from None
        return Connection(reader, writer)

    def close(self) -> None:
        self._closed = True
        for connection in self._idle:
            connection.close()
        self._idle.clear()

    def _rested(self) -> Connection | None:
        now_s = asyncio.get_running_loop().time()
        while self._idle:
            connection = self._idle.pop()
            if connection.fit and now_s - connection.rests_since < IDLE_S:
                return connection
            connection.close()
        return None

    def _rest(self, connection: Connection, head: Head) -> None:
        if self._closed or head.headers.get("connection", "").lower() == "close" or not connection.fit:
            connection.close()
            return
        connection.rests_since = asyncio.get_running_loop().time()
        self._idle.append(connection)


def read_head(raw: bytes) -> Head:
    """Read the head of an answer; ValueError if it is none.

    >>> read_head(b"HTTP/1.1 200 OK\\r\\nETag: x\\r\\n\\r\\n")
    Head(status=200, headers={'etag': 'x'})
    """
    line, *rest = raw.decode("latin-1").split("\r\n")
    if not line.startswith("HTTP/1.") or not line[9:12].isdigit():
        raise ValueError(f"this is not HTTP/1.1: {line[:60]!r}")
    fields = (each.partition(":") for each in rest if each)
    return Head(int(line[9:12]), {name.strip().lower(): value.strip() for name, _, value in fields})


def place(url: str) -> tuple[str, int, ssl.SSLContext | None]:
    """Return host, port and TLS of what a URL names."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        parts, host, port = None, None, None
    if parts is None or host is None or parts.scheme not in ("http", "https") or parts.path not in ("", "/"):
        raise FathomError(
            f"'{url}' is not where a drive can be",
            why="a drive is asked at http://host:port, or at https://host:port",
            fix="say for example http://127.0.0.1:8080, or https://drive.example?ca=FILE",
        )
    if parts.scheme == "http":
        return host, port or 80, None
    ca = parse_qs(parts.query).get("ca", [None])[0]
    try:
        return host, port or 443, ssl.create_default_context(cafile=ca)
    except OSError as unfit:
        raise FathomError(
            f"{ca} cannot be used to know {host} by", why=str(unfit), fix="give the PEM file of its authority"
        ) from None
