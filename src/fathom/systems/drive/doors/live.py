"""Who listens is told how far a space's journal is, and nothing else: come and fetch from your cursor.

It is told in three ways: on a websocket, by server-sent events, and to who asks to be answered only when there is
something (a long poll). Whoever says which cursor they have is told at once if that is not the head, and is told
nothing otherwise until it is not.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import Any, NamedTuple

import msgspec

from fathom.errors import Refusal
from fathom.web.app import Stream
from fathom.web.listen import CONNECTIONS_MAX

from ..api import Cursor, Drive, Edit, Outcome, SessionId, Space, SpaceId, UserId
from ..service.herald import Herald, Listener

__all__ = ["AT_ONCE", "CHECK_S", "OF_ONE", "THUMP_S", "WAITS_S_MAX", "Live"]

THUMP_S = 15.0  # proxies end connections on which nothing is said for long
GRAIN_S = 0.001  # a timer may end so early, where a clock is no finer
CHECK_S = 30.0  # for so long who was let in goes on to listen, though another door knows that they may not
WAITS_S_MAX = 50.0  # for an answer to a long poll: proxies give up after a minute
OF_ONE, AT_ONCE = 16, CONNECTIONS_MAX * 3 // 4  # the others are for requests, and for whoever asks how it is

_encode = msgspec.json.Encoder().encode


class _Ear(NamedTuple):
    """Somebody who has begun to listen, and what was there then."""

    listener: Listener
    found: Space
    close: Callable[[], Awaitable[None]]


class Live:
    """A drive whose commits are told to those who listen: stands in front of any body of the Protocol.

    A service has a herald, which hears of its commits; for a body without one there is one here.
    """

    def __init__(self, drive: Drive) -> None:
        self._drive = drive
        self._own = Herald()
        self._listening: Counter[UserId] = Counter()
        self._by_token: dict[str, set[Listener]] = {}

    def __getattr__(self, verb: str) -> Any:
        return getattr(self._drive, verb)

    async def commit(
        self,
        user: UserId,
        space: SpaceId,
        edits: list[Edit],
        session: SessionId = SessionId(""),
        device: str = "",
        epoch: str = "",
    ) -> list[Outcome]:
        """Commit, and tell those who listen to the space, where the drive does not."""
        outcomes = await self._drive.commit(user, space, edits, session, device, epoch)
        seqs = [it.node.seq for it in outcomes if it.node is not None and not it.code]
        if seqs:
            self._own.changed(space, max(seqs))
        return outcomes

    async def logout(self, token: str) -> None:
        """Make a token worthless; who listens with it has heard the last."""
        await self._drive.logout(token)
        for listener in self._by_token.get(token, ()):
            listener.leave()

    def listening(self, space: SpaceId) -> AbstractAsyncContextManager[Listener]:
        """Let somebody listen to a space for the length of a block."""
        return getattr(self._drive, "herald", self._own).listening([space])

    async def stream(self, user: UserId, space: SpaceId, token: str) -> Stream:
        """Return server-sent events, for as long as the token is good for the space."""
        ear = await self._begin(user, space, token)
        return Stream(self._events(ear, space, token), ear.close)

    async def socket(self, user: UserId, space: SpaceId, token: str, known: Cursor | None = None) -> Stream:
        """Return what is told on a websocket, each head as JSON, for as long as the token is good for the space."""
        ear = await self._begin(user, space, token)
        return Stream(self._messages(ear, space, token, known), ear.close)

    async def moved(self, user: UserId, space: SpaceId, token: str, known: Cursor, within_s: float) -> Stream:
        """Return the space as soon as it is not at this cursor any more, or as it is after so many seconds."""
        ear = await self._begin(user, space, token)
        within_s = min(max(0.0, within_s), WAITS_S_MAX)
        answer = self._answer(ear, space, token, known, within_s)
        return Stream(answer, ear.close, media_type=b"application/json", late=True)

    # -----------------------------------------------------------------------------------------------------------------

    async def _begin(self, user: UserId, space: SpaceId, token: str) -> _Ear:
        if self._listening[user] >= OF_ONE or self._listening.total() >= AT_ONCE:
            raise Refusal("too-many", f"at most {OF_ONE} of yours listen at once", retry_s=5)
        async with AsyncExitStack() as stack:
            self._listening[user] += 1
            stack.callback(self._leaves, user)
            # Before the head is read: what is committed between is told after it.
            listener = await stack.enter_async_context(self.listening(space))
            self._by_token.setdefault(token, set()).add(listener)
            stack.callback(self._forgets, token, listener)
            found = await self._drive.space(user, space)
            return _Ear(listener, found, stack.pop_all().aclose)

    def _forgets(self, token: str, listener: Listener) -> None:
        self._by_token[token].discard(listener)
        if not self._by_token[token]:
            del self._by_token[token]

    def _leaves(self, user: UserId) -> None:
        self._listening -= Counter((user,))

    async def _events(self, ear: _Ear, space: SpaceId, token: str) -> AsyncGenerator[bytes]:
        async for head in self._heads(ear, space, token, None):
            yield b":thump\n\n" if head is None else b"event: head\ndata: %b\n\n" % _told(head)

    async def _messages(self, ear: _Ear, space: SpaceId, token: str, known: Cursor | None) -> AsyncGenerator[bytes]:
        async for head in self._heads(ear, space, token, known):
            if head is not None:  # the server says that it is there, and asks whether the other side is
                yield _told(head)

    async def _answer(
        self, ear: _Ear, space: SpaceId, token: str, known: Cursor, within_s: float
    ) -> AsyncGenerator[bytes]:
        found = ear.found
        if _cursor(found) == known:
            await ear.listener.next(within_s)
            found = await self._drive.space(await self._drive.whoami(token), space)
        yield _encode(found)

    async def _heads(
        self, ear: _Ear, space: SpaceId, token: str, known: Cursor | None
    ) -> AsyncGenerator[Cursor | None]:
        """Give each head that is not known; None when nothing was given for long. Ends for who may not listen."""
        loop = asyncio.get_running_loop()
        now = _cursor(ear.found)
        if now != known:
            yield now
        look_s, thump_s = loop.time() + CHECK_S, loop.time() + THUMP_S
        while True:
            within_s = max(0.0, min(look_s, thump_s) - loop.time())
            moved = (await ear.listener.next(within_s)).get(space)
            if ear.listener.left:
                return
            if loop.time() + GRAIN_S >= look_s:
                look_s = loop.time() + CHECK_S
                try:
                    found = _cursor(await self._drive.space(await self._drive.whoami(token), space))
                except Refusal as refusal:
                    if refusal.code in ("unauthorised", "not-found", "forbidden"):
                        return
                    found = now
                # Also what nobody told of here, and a journal that was set back.
                if found.epoch != now.epoch or found.seq > max(now.seq, moved or 0):
                    now, moved = found, None
                    yield now
                    thump_s = loop.time() + THUMP_S
            if moved is not None and moved > now.seq:
                now = Cursor(now.epoch, moved)
                yield now
                thump_s = loop.time() + THUMP_S
            elif loop.time() + GRAIN_S >= thump_s:
                yield None
                thump_s = loop.time() + THUMP_S


def _cursor(space: Space) -> Cursor:
    return Cursor(space.epoch, space.head)


def _told(head: Cursor) -> bytes:
    return _encode({"head": head.seq, "epoch": head.epoch})
