"""Connections that stay: a websocket goes through the same door, and is refused in the same words, as any request.

What is sent on one is a `Stream`, each piece a text message; what comes from the other side is read and thrown away, in
bounds. Frames, pings and closing are the server's (uvicorn on websockets): `web/server.py` says how often it pings.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, suppress
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from fathom.errors import Refusal
from fathom.web import problems
from fathom.web.app import SECURITY, Door, Stream, Visit, problem_of

__all__ = ["HEARD_MAX", "NOT_ALLOWED", "Met", "TalkingDoor", "same_origin"]

log = logging.getLogger("fathom.web")

HEARD_MAX = 100  # messages of somebody to whom nobody listens
NOT_ALLOWED, BROKE = 1008, 1011
Send = Callable[[Any], Awaitable[None]]
Receive = Callable[[], Awaitable[Any]]


class Met(NamedTuple):
    """What answers a websocket on some path: its name in metrics and limits, and what is told on it."""

    operation: str
    answer: Callable[[Visit], Awaitable[Stream]]


class TalkingDoor(Door):
    """A door on which websockets are answered too: `met` says by what on a path, or that nobody talks there."""

    talks = True

    def __init__(self, *given: Any, met: Callable[[str], Met | None], **named: Any) -> None:
        super().__init__(*given, **named)
        self._met = met

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        if scope["type"] != "websocket":
            await super().__call__(scope, receive, send)
            return
        scope.setdefault("method", "GET")  # which is what it begins as
        began, visit = time.perf_counter(), Visit(scope)
        status, took_s = 500, None
        try:
            stream, status = await self._meet(visit, receive), 101
            took_s = time.perf_counter() - began
            await _talk(visit, stream, receive, send)
        except Exception as error:
            it, fields = problem_of(error, visit)
            status = it.status
            await problems.send_problem(send, it, [*visit.fields, *SECURITY[:-1], *fields], kind="websocket")
        finally:
            self._count(visit, status, time.perf_counter() - began if took_s is None else took_s)

    async def _meet(self, visit: Visit, receive: Receive) -> Stream:
        """Return what a websocket is to be told, if it may be let in."""
        await receive()  # that it wants to be
        self.admission.enter()
        try:
            self._limit_address(visit)
            if not same_origin(visit.headers):
                raise Refusal("forbidden", "a page of another site may not listen in somebody's name")
            if (met := self._met(visit.scope["path"])) is None:
                raise Refusal("not-found", "nobody talks at this address")
            visit.operation = met.operation
            self._begin(visit)
            async with asyncio.timeout(self.limits.answer_s):
                return await met.answer(visit)
        finally:
            self.admission.leave()


async def _talk(visit: Visit, stream: Stream, receive: Receive, send: Send) -> None:
    """Let a websocket in, and tell it a stream, until that ends or the other side has left; then close both."""
    async with AsyncExitStack() as opened:
        if stream.close is not None:
            opened.push_async_callback(stream.close)
        opened.push_async_callback(stream.pieces.aclose)
        with suppress(OSError):  # the other side has left meanwhile
            await send({"type": "websocket.accept", "headers": [*stream.headers, *visit.fields]})
        await _until_either_ends(stream, receive, send)


async def _until_either_ends(stream: Stream, receive: Receive, send: Send) -> None:
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
