"""Tells those who listen just now what happens, as it happens: who is not there reads it later in their home."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Literal, NamedTuple

from msgspec.structs import replace

from fathom.engines.ledger import RESIDUAL, charging
from fathom.errors import Refusal

from ..api import NoticeId, Post, PostId, UserId
from ..stores import Stores

__all__ = ["Event", "Herald", "Listener"]

LISTENERS_MAX = 500  # each keeps a connection, and others need some as well
OF_ONE_MAX = 8  # of one user
STRANGERS_MAX = 100  # of all who show no token
WAITING_MAX = 200  # events that a listener has not taken yet; who falls behind further is cut off, and reads again

Kind = Literal["post", "deleted", "notice"]


class Event(NamedTuple):
    """That there is a new post, that one is gone, or that there is a notice; and its number."""

    kind: Kind
    id: int
    author: UserId = UserId(0)  # of the post


class Listener:
    """One who listens: to their own home and notices, or to everybody's posts."""

    def __init__(self, user: UserId, *, public: bool) -> None:
        self.user, self.public = user, public
        self.followees: frozenset[UserId] | None = None  # None: to be read before the next post is judged
        self.changes = 0
        self._events: asyncio.Queue[tuple[Event, Post | None]] = asyncio.Queue(WAITING_MAX)
        self.behind = asyncio.Event()

    def tell(self, event: Event, post: Post | None = None) -> None:
        try:
            self._events.put_nowait((event, post))
        except asyncio.QueueFull:
            self.behind.set()

    async def next(self, within_s: float) -> tuple[Event, Post | None] | None:
        """Return the next event; None: nothing happened for so long."""
        if self.behind.is_set():
            raise Refusal("unavailable", "too much happens to tell it all: read again, then listen again")
        try:
            async with asyncio.timeout(within_s):
                return await self._events.get()
        except TimeoutError:
            return None


class Herald:
    """Knows who listens.

    One service serves these data, so it hears of every change whose answer that service had; of the others when the
    housekeeper finds their rows, and of a notice whose answer was lost not at all: it stands among the notices.
    """

    def __init__(self, stores: Stores) -> None:
        self._stores = stores
        self._listeners: set[Listener] = set()

    @asynccontextmanager
    async def listening(self, user: UserId, *, public: bool = False) -> AsyncIterator[Listener]:
        """Let somebody listen for the length of a block."""
        if len(self._listeners) >= LISTENERS_MAX:
            raise Refusal("unavailable", "too many listen at once", retry_s=5.0)
        most = OF_ONE_MAX if user else STRANGERS_MAX
        if sum(it.user == user for it in self._listeners) >= most:
            raise Refusal("too-many", f"at most {most} streams can be open at once", retry_s=5.0)
        listener = Listener(user, public=public)
        self._listeners.add(listener)
        try:
            yield listener
        finally:
            self._listeners.discard(listener)

    # What happens: told after it is committed, and before it is acknowledged

    def wrote(self, post: Post) -> None:
        for listener in self._listeners:
            if listener.public and (post.boost_of is not None or post.reply_to is not None or not post.listed):
                continue
            listener.tell(Event("post", post.id, post.author), post)

    def deleted(self, post: PostId, author: UserId) -> None:
        for listener in self._listeners:
            listener.tell(Event("deleted", post, author))

    def noticed(self, user: UserId | None, notice: int) -> None:
        for listener in self._listeners:
            if user is not None and listener.user == user and not listener.public:
                listener.tell(Event("notice", NoticeId(notice)))

    def changed(self, reader: UserId) -> None:
        """Whom somebody follows, mutes or blocks is another now."""
        for listener in self._listeners:
            if listener.user == reader:
                listener.followees = None
                listener.changes += 1

    # What of it concerns a listener

    async def concerns(self, listener: Listener, author: UserId) -> bool:
        """Whether the listener hears this author; of everybody's posts the reading decides."""
        if listener.public or author == listener.user:
            return True
        while listener.followees is None:
            changes = listener.changes
            with charging(RESIDUAL):
                followees = frozenset(await self._stores.graph.followees(listener.user))
            if changes == listener.changes:
                listener.followees = followees
        return author in listener.followees

    async def at_home(self, listener: Listener, post: Post) -> list[Post]:
        """Return a new post as it stands in the listener's home: none, if it does not, or no longer."""
        with charging(RESIDUAL):
            if post.boost_of is None:
                return [found for found, _ in (await self._stores.posts.true([post.id])).values()]
            shown = await self._stores.boosts.at_home(listener.user, [post.id])
        return [replace(post, boosted=shown[post.id])] if post.id in shown else []
