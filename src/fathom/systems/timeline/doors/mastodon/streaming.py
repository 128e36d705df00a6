"""Streams of server-sent events: what happens in one's home and to one, or among everybody's posts, as it happens."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import msgspec

from fathom.errors import Refusal
from fathom.web.app import Reply, Stream
from fathom.web.auth import Bearer

from ...api import Page, Post, PostId, Timeline
from ...service.herald import Event, Listener
from .asked import Asked
from .entities import notifications
from .pages import wanted_statuses
from .routes import ANYBODY, Route

__all__ = ["Streaming"]

THUMP_S = 15.0  # proxies end connections on which nothing is said for long, and clients do too

_encode = msgspec.json.Encoder().encode


class Streaming:
    """Handlers of streams. What only answers the Protocol cannot be listened to."""

    def __init__(self, timeline: Timeline) -> None:
        self._timeline, self._thump_s = timeline, THUMP_S

    def routes(self) -> list[Route]:
        at, notices = "/api/v1/streaming", frozenset(("notice",))
        return [
            Route("GET", f"{at}/health", ANYBODY, self.health),
            Route("GET", f"{at}/user", "read:statuses", self._stream(public=False)),
            Route("GET", f"{at}/user/notification", "read:notifications", self._stream(public=False, only=notices)),
            Route("GET", f"{at}/public", ANYBODY, self._stream(public=True)),
            Route("GET", f"{at}/public/local", ANYBODY, self._stream(public=True)),
        ]

    async def health(self, asked: Asked) -> Reply:
        return Reply(200, b"OK", [], b"text/plain")

    def _stream(
        self, *, public: bool, only: frozenset[str] = frozenset(("post", "deleted", "notice"))
    ) -> Callable[[Asked], Awaitable[Any]]:
        async def stream(asked: Asked) -> Stream:
            herald = getattr(self._timeline, "herald", None)
            if herald is None:
                raise Refusal("unavailable", "nothing can be listened to here")
            stack = AsyncExitStack()
            listener: Listener = await stack.enter_async_context(herald.listening(asked.viewer, public=public))
            told = only if _may_be_told(asked) else only - {"notice"}
            return Stream(self._pieces(herald, listener, asked, told), stack.aclose)

        return stream

    async def _pieces(
        self, herald: Any, listener: Listener, asked: Asked, only: frozenset[str]
    ) -> AsyncGenerator[bytes]:
        """Yield events for as long as the token is good."""
        loop = asyncio.get_running_loop()
        looked = loop.time()
        yield b":)\n\n"
        while True:
            told = await listener.next(self._thump_s)
            if loop.time() - looked >= self._thump_s:
                looked = loop.time()
                if not await self._still_good(asked):
                    return
            if told is None:
                yield b":thump\n\n"
            elif told[0].kind in only:
                async for piece in self._events(herald, listener, asked, *told):
                    yield piece

    async def _still_good(self, asked: Asked) -> bool:
        """Whether the token with which a stream was opened has not been revoked since."""
        if asked.caller is None:
            return True
        try:
            await self._timeline.granted(Bearer.token(asked.visit.headers.get(b"authorization")))
        except Refusal as refusal:
            if refusal.code != "unauthorised":
                raise
            return False
        return True

    async def _events(
        self, herald: Any, listener: Listener, asked: Asked, event: Event, post: Post | None
    ) -> AsyncGenerator[bytes]:
        match event.kind:
            case "post" if post is not None:
                for status in await self._update(herald, listener, asked, post):
                    yield _event("update", _encode(status))
            case "deleted" if await herald.concerns(listener, event.author):
                yield _event("delete", b"%d" % event.id)
            case "notice":
                for it in await self._notified(asked, event.id):
                    yield _event("notification", _encode(it))
            case _:
                pass

    async def _update(self, herald: Any, listener: Listener, asked: Asked, post: Post) -> list[dict[str, Any]]:
        """Return a new post as a status, if the listener is to see it."""
        if not await herald.concerns(listener, post.author):
            return []
        # Read as their timeline reads it, so that blocks, mutes and boosts are judged the same.
        page = Page(limit=1, max_id=PostId(post.id + 1), since_id=PostId(post.id - 1))
        if listener.public:
            found = (await self._timeline.public(asked.viewer, page)).posts
        else:
            found = await herald.at_home(listener, post)
        return await wanted_statuses(self._timeline, asked, found)

    async def _notified(self, asked: Asked, notice: int) -> list[dict[str, Any]]:
        page = Page(limit=1, max_id=PostId(notice + 1), since_id=PostId(notice - 1))
        return await notifications(self._timeline, asked, (await self._timeline.notices(asked.viewer, page)).notices)


def _may_be_told(asked: Asked) -> bool:
    """Whether a stream may carry notices: the scope of the home alone does not allow it."""
    return asked.caller is not None and asked.caller.may("read:notifications")


def _event(kind: str, data: bytes) -> bytes:
    """Return one event; JSON has no line's end in it."""
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), data)
