"""A connection to one node: many requests under way at once, each known to be sent or not when it breaks."""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from collections.abc import Sequence
from typing import Any, NamedTuple, cast

import hiredis

__all__ = ["Address", "Error", "Line", "Lost", "Unsent", "packed"]

UNDER_WAY_MAX = 1_000  # on one connection; what comes beyond is not sent
NOT_YET = object()


class Address(NamedTuple):
    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Address:
        """Read `host:port`, the host of IPv6 in brackets. Raises ValueError."""
        host, colon, port = text.rpartition(":")
        if not (colon and host and port.isdigit()):
            raise ValueError(f"'{text}' is no host:port")
        return cls(host.strip("[]"), int(port))

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Error(Exception):
    """What a node answers to what it does not do; its first word is a code."""

    @property
    def code(self) -> str:
        return str(self).partition(" ")[0]

    @property
    def says(self) -> str:
        return str(self).partition(" ")[2]


class Unsent(Exception):
    """The request has not left: nothing was done."""


class Lost(Exception):
    """The request had left when its connection broke: nobody knows what was done."""


def packed(words: Sequence[bytes | str | int]) -> bytes:
    """Return a command as it is sent.

    >>> packed(["GET", b"a"])
    b'*2\\r\\n$3\\r\\nGET\\r\\n$1\\r\\na\\r\\n'
    """
    raw = [word if isinstance(word, bytes) else str(word).encode() for word in words]
    return b"".join([b"*%d\r\n" % len(raw), *(b"$%d\r\n%b\r\n" % (len(word), word) for word in raw)])


class Line(asyncio.Protocol):
    """Answers come in the order of the requests. Who gives up keeps its place, so that no answer is another's."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._reader = hiredis.Reader(replyError=Error, notEnoughData=NOT_YET)
        self._waiting: deque[asyncio.Future[Any]] = deque()
        self._out: list[bytes] = []
        self._transport: asyncio.Transport | None = None
        self.lost = False

    @classmethod
    async def to(cls, address: Address, tls: ssl.SSLContext | None) -> Line:
        """Connect. Raises `Unsent`."""
        try:
            _, line = await asyncio.get_running_loop().create_connection(cls, address.host, address.port, ssl=tls)
        except OSError as error:
            raise Unsent(f"{address} cannot be reached: {error}") from None
        return line

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = True
        waiting, self._waiting = self._waiting, deque()
        for future in waiting:
            if not future.done():
                future.set_exception(Lost(f"the connection broke before the answer came{f' ({exc})' if exc else ''}"))

    def close(self) -> None:
        self.lost = True
        if self._transport is not None:
            self._transport.abort()

    async def ask(self, *words: bytes | str | int) -> Any:
        """Return the answer. Raises `Unsent`, `Lost`, or the node's `Error`."""
        if self.lost or self._transport is None:
            raise Unsent("the connection is closed")
        if len(self._waiting) >= UNDER_WAY_MAX:
            raise Unsent(f"{UNDER_WAY_MAX:,} requests are under way on this connection")
        answer: asyncio.Future[Any] = self._loop.create_future()
        self._waiting.append(answer)
        if not self._out:
            self._loop.call_soon(self._flush)
        self._out.append(packed(words))
        said = await answer
        if isinstance(said, Error):
            raise said
        return said

    def _flush(self) -> None:
        out, self._out = self._out, []
        if not self.lost and self._transport is not None:
            self._transport.write(b"".join(out))

    def data_received(self, data: bytes) -> None:
        try:
            self._reader.feed(data)
            while (said := self._reader.gets()) is not NOT_YET:
                answer = self._waiting.popleft()
                if not answer.done():
                    answer.set_result(said)
        except (hiredis.ProtocolError, IndexError):  # it does not speak RESP, or answers what nobody asked
            self.close()
