"""A request's body as it comes, piece by piece: bounded in size, and in how slowly it may come."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from fathom.errors import Refusal
from fathom.web.filling import Filling

__all__ = ["IDLE_S", "Body", "Gone", "Slow"]

IDLE_S = 20.0  # without a byte
GRACE_S = 30.0
BYTES_PER_S_MIN = 4_096  # on the whole, after the grace: who drips longer holds a place that others want
LARGE_BYTES = 1 << 18  # from which on a body is received where it is to lie, if the server can do that
THROWN_AWAY_MAX = 1 << 20  # of what comes after a refusal, so that it is not overtaken by a reset


class Gone(Exception):
    """Whoever sent it is no longer there; what came is not all of it."""


class Slow(Exception):
    """It comes too slowly."""


class Body:
    """The bytes of one request. `whole`: all of them have been read. `expected` is how many there are, if it says so.

    `fill` is how the server receives the rest of a body where it is to lie.

    >>> Body.of_length({b"content-length": b"12"})
    12
    """

    def __init__(
        self,
        receive: Callable[[], Awaitable[Any]],
        headers: dict[bytes, bytes],
        fill: Callable[[memoryview], Filling | None] | None = None,
    ) -> None:
        self._receive, self._fill = receive, fill
        self.expected = self.of_length(headers)
        self.whole = self.expected == 0
        self.read = 0

    @staticmethod
    def of_length(headers: dict[bytes, bytes]) -> int | None:
        """Return how long a body says it is; None where it does not."""
        if b"transfer-encoding" in headers:
            return None
        length = headers.get(b"content-length", b"0")
        if not length.isdigit() or len(length) > 18:
            raise Refusal("invalid", "the Content-Length cannot be read")
        return int(length)

    async def pieces(self, bytes_max: int) -> AsyncIterator[bytes]:
        """Give what comes as it comes; refuse more than `bytes_max`, before a byte is read where that is said."""
        too_large = Refusal("too-large", f"a request's body has at most {bytes_max:,} bytes here")
        if (self.expected or 0) > bytes_max:
            raise too_large
        began_s = asyncio.get_running_loop().time()
        while not self.whole:
            piece = await self._next()
            self._check_rate(began_s)
            if self.read > bytes_max:
                raise too_large
            if piece:
                yield piece

    async def all(self, bytes_max: int) -> bytes:
        """Return it all."""
        return b"".join([piece async for piece in self.pieces(bytes_max)])

    async def in_place(
        self, bytes_max: int, room: Callable[[int], bytearray | memoryview] = bytearray
    ) -> bytes | bytearray | memoryview:
        """Return it all; what is large was received where it lies, for which `room` is asked."""
        if self._fill is None or self.expected is None or self.expected < LARGE_BYTES:
            return await self.all(bytes_max)
        pieces = self.pieces(bytes_max)
        first = await anext(pieces)  # before there is room for all: who says much and sends nothing takes none
        found = room(self.expected)
        found[: len(first)] = first
        with memoryview(found) as view:
            if (filling := self._fill(view[len(first) :])) is not None:
                await self._filled(filling)
            else:
                at = len(first)
                async for piece in pieces:
                    view[at : at + len(piece)] = piece
                    at += len(piece)
        return found

    async def _filled(self, filling: Filling) -> None:
        """Return when all the rest has come."""
        began_s, read = asyncio.get_running_loop().time(), self.read
        try:
            while not filling.ended.done():
                before = self.read
                await asyncio.wait([filling.ended], timeout=IDLE_S)
                self.read = read + filling.filled
                self._check_rate(began_s)
                if self.read == before:
                    raise Slow
        finally:
            filling.stop()
        if not filling.whole:
            raise Gone
        self.whole = True

    def _check_rate(self, began_s: float) -> None:
        if asyncio.get_running_loop().time() - began_s > GRACE_S + self.read / BYTES_PER_S_MIN:
            raise Slow

    async def thrown_away(self) -> bool:
        """Read what is left if that is little; return whether nothing is left, so that the connection can go on."""
        bound = self.read + THROWN_AWAY_MAX
        try:
            async with asyncio.timeout(2.0):
                while not self.whole and self.read < bound and (self.expected or 0) <= bound:
                    await self._next()
        except (TimeoutError, Gone, Slow):
            return False
        return self.whole

    async def _next(self) -> bytes:
        try:
            async with asyncio.timeout(IDLE_S):
                message = await self._receive()
        except TimeoutError:
            raise Slow from None
        if message["type"] == "http.disconnect":
            raise Gone
        piece = message.get("body", b"")
        self.read += len(piece)
        self.whole = not message.get("more_body", False)
        return piece
