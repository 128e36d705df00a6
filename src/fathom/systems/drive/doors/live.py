"""Who listens is told how far a space's journal is, and nothing else: come and fetch from your cursor."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

import msgspec

from fathom.errors import Refusal
from fathom.web.app import Stream

from ..api import Drive, Edit, Outcome, SessionId, SpaceId, UserId

__all__ = ["CHECK_S", "THUMP_S", "Live"]

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
        self._watching: dict[SpaceId, set[_Watch]] = {}
        self._listening: Counter[UserId] = Counter()

    def __getattr__(self, verb: str) -> Any:
        return getattr(self._drive, verb)

    async def commit(
        self, user: UserId, space: SpaceId, edits: list[Edit], session: SessionId = SessionId(""), device: str = ""
    ) -> list[Outcome]:
        """Commit, and tell those who watch the space."""
        outcomes = await self._drive.commit(user, space, edits, session, device)
        seqs = [it.node.seq for it in outcomes if it.node is not None and not it.code]
        if seqs:
            self.moved(space, max(seqs))
        return outcomes

    def moved(self, space: SpaceId, head: int) -> None:
        """Tell those who watch a space that its journal has come to `head`; said late or twice, it does no harm."""
        for watch in self._watching.get(space, ()):
            if head > watch.head:
                watch.head = head
                watch.news.set()

    async def watch(self, space: SpaceId) -> AsyncIterator[int]:
        """Give the head of a space whenever it has moved; who is slow is told the newest only."""
        watch = self._enter(space)
        try:
            while True:
                if (head := await watch.next(None)) is not None:
                    yield head
        finally:
            self._leave(space, watch)

    async def stream(self, user: UserId, space: SpaceId, token: str) -> Stream:
        """Return server-sent events, for as long as the token is good for the space."""
        if self._listening[user] >= OF_ONE or self._listening.total() >= AT_ONCE:
            raise Refusal("too-many", f"at most {OF_ONE} of yours listen at once", retry_s=5)
        watch = self._enter(space)  # before the head is read: what is committed between is told after it
        try:
            found = await self._drive.space(user, space)
        except BaseException:
            self._leave(space, watch)
            raise
        self._listening[user] += 1

        async def close() -> None:
            self._leave(space, watch)
            self._listening[user] -= 1
            if not self._listening[user]:
                del self._listening[user]

        return Stream(self._events(watch, found.epoch, found.head, space, token), close)

    async def _events(self, watch: _Watch, epoch: str, head: int, space: SpaceId, token: str) -> AsyncGenerator[bytes]:
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

    def _enter(self, space: SpaceId) -> _Watch:
        watch = _Watch()
        self._watching.setdefault(space, set()).add(watch)
        return watch

    def _leave(self, space: SpaceId, watch: _Watch) -> None:
        watching = self._watching.get(space, set())
        watching.discard(watch)
        if not watching:
            self._watching.pop(space, None)


class _Watch:
    """What one of them has still to be told."""

    def __init__(self) -> None:
        self.head, self.news = 0, asyncio.Event()

    async def next(self, within_s: float | None) -> int | None:
        """Return the newest head once there is news; None: there was none in time."""
        try:
            async with asyncio.timeout(within_s):
                await self.news.wait()
        except TimeoutError:
            return None
        self.news.clear()
        return self.head


def _event(head: int, epoch: str) -> bytes:
    return b"event: head\ndata: %b\n\n" % _encode({"head": head, "epoch": epoch})
