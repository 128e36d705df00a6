"""Who listens is told how far a space's journal is, and nothing else: come and fetch from your cursor."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import Any

import msgspec

from fathom.errors import Refusal
from fathom.web.app import Stream

from ..api import Drive, Edit, Outcome, SessionId, SpaceId, UserId
from ..service.herald import Herald, Listener

__all__ = ["CHECK_S", "THUMP_S", "Live"]

THUMP_S = 15.0  # proxies end connections on which nothing is said for long
CHECK_S = 3.0  # how long a token that was revoked, or a space that was taken away, goes on to be listened with
OF_ONE, AT_ONCE = 16, 2_000

_encode = msgspec.json.Encoder().encode


class Live:
    """A drive whose commits are told to those who listen: stands in front of any body of the Protocol.

    A service has a herald, which hears of its commits; for a body without one there is one here.
    """

    def __init__(self, drive: Drive) -> None:
        self._drive = drive
        self._own = Herald()
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
        """Commit, and tell those who listen to the space, where the drive does not."""
        outcomes = await self._drive.commit(user, space, edits, session, device, epoch)
        seqs = [it.node.seq for it in outcomes if it.node is not None and not it.code]
        if seqs:
            self._own.changed(space, max(seqs))
        return outcomes

    def listening(self, space: SpaceId) -> AbstractAsyncContextManager[Listener]:
        """Let somebody listen to a space for the length of a block."""
        return getattr(self._drive, "herald", self._own).listening([space])

    async def stream(self, user: UserId, space: SpaceId, token: str) -> Stream:
        """Return server-sent events, for as long as the token is good for the space."""
        if self._listening[user] >= OF_ONE or self._listening.total() >= AT_ONCE:
            raise Refusal("too-many", f"at most {OF_ONE} of yours listen at once", retry_s=5)
        async with AsyncExitStack() as stack:
            self._listening[user] += 1
            stack.callback(self._leaves, user)
            # Before the head is read: what is committed between is told after it.
            listener = await stack.enter_async_context(self.listening(space))
            found = await self._drive.space(user, space)
            close = stack.pop_all().aclose
        return Stream(self._events(listener, found.epoch, found.head, space, token), close)

    def _leaves(self, user: UserId) -> None:
        self._listening -= Counter((user,))

    async def _events(
        self, listener: Listener, epoch: str, head: int, space: SpaceId, token: str
    ) -> AsyncGenerator[bytes]:
        loop = asyncio.get_running_loop()
        yield _event(head, epoch)
        said_s = looked_s = loop.time()
        while True:
            moved = (await listener.next(CHECK_S)).get(space)
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


def _event(head: int, epoch: str) -> bytes:
    return b"event: head\ndata: %b\n\n" % _encode({"head": head, "epoch": epoch})
