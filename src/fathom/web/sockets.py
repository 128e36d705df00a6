"""Connections that stay: a websocket goes through the same door, and is refused in the same words, as any request.

What is sent on one is a `Stream`, each piece a text message; what comes from the other side is read and thrown away, in
bounds. Frames, pings and closing are the server's (uvicorn on websockets): `web/server.py` says how often it pings.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, suppress
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from fathom.web.app import Stream, Visit

__all__ = ["HEARD_MAX", "NOT_ALLOWED", "Met", "same_origin", "talk"]

log = logging.getLogger("fathom.web")

HEARD_MAX = 100  # messages of somebody to whom nobody listens
NOT_ALLOWED, BROKE = 1008, 1011
Send = Callable[[Any], Awaitable[None]]


class Met(NamedTuple):
    """What answers a websocket on some path: its name in metrics and limits, and what is told on it."""

    operation: str
    answer: Callable[[Visit], Awaitable[Stream]]


async def talk(visit: Visit, stream: Stream, receive: Callable[[], Awaitable[Any]], send: Send) -> None:
    """Let a websocket in, and tell it a stream, until that ends or the other side has left; then close both."""
    async with AsyncExitStack() as opened:
        if stream.close is not None:
            opened.push_async_callback(stream.close)
        opened.push_async_callback(stream.pieces.aclose)
        with suppress(OSError):  # the other side has left meanwhile
            await send({"type": "websocket.accept", "headers": [*stream.headers, *visit.fields]})
        await _until_either_ends(stream, receive, send)


async def _until_either_ends(stream: Stream, receive: Callable[[], Awaitable[Any]], send: Send) -> None:
    async def pour() -> int:
        async for piece in stream.pieces:
            await send({"type": "websocket.send", "text": piece.decode()})
        return NOT_ALLOWED  # what is told has no end of its own: it ends for those who may not hear it any longer

    async def hear() -> int:
        for _ in range(HEARD_MAX):
            if (await receive())["type"] == "websocket.disconnect":
                return 0
        return NOT_ALLOWED

    tasks = [asyncio.create_task(pour()), asyncio.create_task(hear())]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        for failure in ended:
            if isinstance(failure, Exception):
                log.info("a websocket ended: %r", failure)
        codes = [it for it in ended if isinstance(it, int)]
        if 0 not in codes:
            with suppress(Exception):  # the other side has left meanwhile
                await send({"type": "websocket.close", "code": max(codes, default=BROKE)})


def same_origin(headers: Mapping[bytes, bytes]) -> bool:
    """Whether who asks is no page in a browser, or a page of this very door.

    >>> same_origin({b"host": b"localhost:80"}), same_origin({b"host": b"localhost:80", b"origin": b"http://evil"})
    (True, False)
    """
    origin = headers.get(b"origin")
    if origin is None:
        return True
    try:
        parts = urlsplit(origin.decode("ascii"))
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and parts.netloc.lower().encode() == headers.get(b"host", b"").lower()
