"""Who listens is told how far a space's journal is, and nothing else: come and fetch from your cursor."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import msgspec

from fathom.errors import Refusal
from fathom.web.app import Stream

from ..api import Drive, Edit, Outcome, SessionId, SpaceId, UserId

__all__ = ["CHECK_S", "THUMP_S", "Live", "Watch"]

THUMP_S = 15.0  # proxies end connections on which nothing is said for long
CHECK_S = 3.0  # how long a token that was revoked, or a space that was taken away, goes on to be listened with
OF_ONE, AT_ONCE = 16, 2_000

_encode = msgspec.json.Encoder().encode


class Live:
    """A drive whose commits are told to those who watch: stands in front of any body of the Protocol.

    What others commit on it, in processes elsewhere, it is told of by `moved`.
    """

    def __init__(self, drive: Drive) -> None:
        self._drive = drive
        self._watching: dict[SpaceId, set[Watch]] = {}
        self._listening: Counter[UserId] = Counter()

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
        """Commit, and tell those who watch the space."""
        outcomes = await self._drive.commit(user, space, edits, session, device, epoch)
        seqs = [it.node.seq for it in outcomes if it.node is not None and not it.code]
        if seqs:
            self.moved(space, max(seqs))
        return outcomes

    def moved(self, space: SpaceId, head: int) -> None:
        """Tell those who watch a space that its journal has come to `head`; said late or twice, it does no harm."""
        for watch in self._watching.get(space, ()):
            watch.tell(head)

    @asynccontextmanager
    async def listening(self, space: SpaceId) -> AsyncIterator[Watch]:
        """Let somebody listen to a space for the length of a block; a service that has a herald is asked by it."""
        herald = getattr(self._drive, "herald", None)
        watch = Watch()
        self._watching.setdefault(space, set()).add(watch)
        try:
            async with AsyncExitStack() as stack:
                if herald is not None:
                    listener = await stack.enter_async_context(herald.listening([space]))
                    hearing = asyncio.create_task(_hear(listener, watch))
                    stack.callback(hearing.cancel)
                yield watch
        finally:
            self._watching[space].discard(watch)
            if not self._watching[space]:
                del self._watching[space]

    async def watch(self, space: SpaceId) -> AsyncIterator[int]:
        """Give the head of a space whenever it has moved; who is slow is told the newest only."""
        async with self.listening(space) as watch:
            while True:
                if (head := await watch.next(None)) is not None:
                    yield head

    async def stream(self, user: UserId, space: SpaceId, token: str) -> Stream:
        """Return server-sent events, for as long as the token is good for the space."""
        if self._listening[user] >= OF_ONE or self._listening.total() >= AT_ONCE:
            raise Refusal("too-many", f"at most {OF_ONE} of yours listen at once", retry_s=5)
        async with AsyncExitStack() as stack:
            self._listening[user] += 1
            stack.callback(self._leaves, user)
            # Before the head is read: what is committed between is told after it.
            watch = await stack.enter_async_context(self.listening(space))
            found = await self._drive.space(user, space)
            close = stack.pop_all().aclose
        return Stream(self._events(watch, found.epoch, found.head, space, token), close)

    def _leaves(self, user: UserId) -> None:
        self._listening -= Counter((user,))

    async def _events(self, watch: Watch, epoch: str, head: int, space: SpaceId, token: str) -> AsyncGenerator[bytes]:
        loop = asyncio.get_running_loop()
        yield _event(head, epoch)
        said_s = looked_s = loop.time()
        while True:
            moved = await watch.next(CHECK_S)
            if loop.time() - looked_s >= CHECK_S:
                looked_s = loop.time()
                try:
                    found = await self._drive.space(await self._drive.whoami(token), space)
                except Refusal as refusal:
                    if refusal.code in ("unauthorised", "not-found", "forbidden"):
                        return
                    continue
                # Also what nobody told of here, and a journal that was set back.
                if found.epoch != epoch or found.head > max(head, moved or 0):
                    epoch, head, moved = found.epoch, found.head, None
                    yield _event(head, epoch)
                    said_s = loop.time()
            if moved is not None and moved > head:
                head = moved
                yield _event(head, epoch)
                said_s = loop.time()
            elif loop.time() - said_s >= THUMP_S:
                yield b":thump\n\n"
                said_s = loop.time()


class Watch:
    """What one of them has still to be told."""

    def __init__(self) -> None:
        self._head, self._news = 0, asyncio.Event()

    def tell(self, head: int) -> None:
        if head > self._head:
            self._head = head
            self._news.set()

    async def next(self, within_s: float | None) -> int | None:
        """Return the newest head once there is news; None: there was none in time."""
        try:
            async with asyncio.timeout(within_s):
                await self._news.wait()
        except TimeoutError:
            return None
        self._news.clear()
        return self._head


async def _hear(listener: Any, watch: Watch) -> None:
    while True:
        for head in (await listener.next()).values():
            watch.tell(head)


def _event(head: int, epoch: str) -> bytes:
    return b"event: head\ndata: %b\n\n" % _encode({"head": head, "epoch": epoch})
