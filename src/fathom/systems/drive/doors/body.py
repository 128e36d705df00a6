"""A request's body as it comes, piece by piece: bounded in size, and in how slowly it may come."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from fathom.errors import Refusal

__all__ = ["IDLE_S", "Body", "Gone", "Slow"]

IDLE_S = 20.0  # without a byte
GRACE_S = 30.0
BYTES_PER_S_MIN = 4_096  # on the whole, after the grace: who drips longer holds a place that others want
THROWN_AWAY_MAX = 1 << 20  # of what comes after a refusal, so that it is not overtaken by a reset


class Gone(Exception):
    """Whoever sent it is no longer there; what came is not all of it."""


class Slow(Exception):
    """It comes too slowly."""


class Body:
    """The bytes of one request. `whole`: all of them have been read. `expected` is how many there are, if it says so.

    >>> Body.of_length({b"content-length": b"12"})
    12
    """

    def __init__(self, receive: Callable[[], Awaitable[Any]], headers: dict[bytes, bytes]) -> None:
        self._receive = receive
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
        began = asyncio.get_running_loop().time()
        while not self.whole:
            piece = await self._next()
            took_s = asyncio.get_running_loop().time() - began
            if took_s > GRACE_S + self.read / BYTES_PER_S_MIN:
                raise Slow
            if self.read > bytes_max:
                raise too_large
            if piece:
                yield piece

    async def all(self, bytes_max: int) -> bytes:
        """Return it all."""
        return b"".join([piece async for piece in self.pieces(bytes_max)])

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
