"""The newest posts of everybody, in this process: what homes are read from while Redis is shut, sparing the truth."""

from __future__ import annotations

import asyncio
import logging
from bisect import bisect_left, bisect_right, insort

from fathom.engines.engine import EngineError
from fathom.engines.ledger import RESIDUAL, charging

from ..api import Page, Post, PostId, UserId
from .graph import Graph
from .outbox import Entry
from .posts import Posts

__all__ = ["Standby"]

log = logging.getLogger("fathom.timeline.standby")

NEWEST = 2_000  # posts that are kept
SCANNED_MAX = 1_000  # of them are looked at for one page; whose page needs more is better asked of the truth
READERS_MAX = 20_000  # whose followees are kept
FOLLOWEES_MAX = 2_000  # who follows more is better asked of the truth, too, which returns no more than it shows
LINGER_S = 20.0  # after Redis is open again: feeds that were lost are being made


class Standby:
    """All posts above a floor, and whom the readers follow who came lately. Right because nobody else writes.

    The whole load of a dead Redis would fall on the truth, 350 us of its time for each read, and could take it down as
    well. Most first pages lie within the newest posts, though, and these are the same for all. One service serves one
    database, so it hears of every change before it is acknowledged; what is being read from the truth at that moment
    is not kept.
    """

    def __init__(self, graph: Graph, posts: Posts) -> None:
        self._graph, self._posts = graph, posts
        self._ending: asyncio.TimerHandle | None = None
        self._loading: asyncio.Task[None] | None = None
        self._epoch = 0  # raised whenever all is forgotten: what was asked of the truth before is not kept after it
        self._clear()

    def _clear(self) -> None:
        self._epoch += 1
        self.on = self._ready = False
        self._floor = 0  # all posts above this id are here
        self._ids: list[PostId] = []  # rising
        self._known: dict[PostId, tuple[Post, int]] = {}  # with their versions
        self._gone: set[PostId] = set()
        self._followees: dict[UserId, frozenset[UserId]] = {}
        self._changed: dict[UserId, int] = {}  # reader → how often their edges changed since we are on

    # On and off

    def begin(self) -> None:
        """Redis was shut: take its place as soon as the newest posts are read."""
        if self._ending is not None:
            self._ending.cancel()
            self._ending = None
        self.on = True
        if not self._ready and (self._loading is None or self._loading.done()):
            self._loading = asyncio.create_task(self._load(), name="standby")

    def linger(self) -> None:
        """Redis is open again: help for a while, then end."""
        if self.on and self._ending is None:
            self._ending = asyncio.get_running_loop().call_later(LINGER_S, self.end)

    def end(self) -> None:
        """Forget everything."""
        if self._loading is not None:
            self._loading.cancel()
            self._loading = None
        if self._ending is not None:
            self._ending.cancel()
            self._ending = None
        self._clear()

    async def _load(self) -> None:
        with charging(RESIDUAL):
            try:
                newest = await self._posts.newest(NEWEST)
            except EngineError as failure:
                log.info("cannot stand by: %s", failure)
                self._clear()  # whoever reads next begins anew
                return
        # What changed since that was read was told to us meanwhile.
        for post, version in newest:
            self._keep(post, version)
        self._raise_floor(newest[-1][0].id - 1 if len(newest) == NEWEST else 0)
        self._ready = True

    # Changes, after their commit and before they are acknowledged

    async def tell(self, entry: Entry, post: Post | None = None) -> None:
        """Hear of a change."""
        id = PostId(entry.what)
        match entry.kind:
            case "edge":
                reader = UserId(entry.who)
                self._followees.pop(reader, None)
                self._changed[reader] = self._changed.get(reader, 0) + 1
            case "delete":
                self._gone.add(id)
                if self._known.pop(id, None) is not None:
                    del self._ids[bisect_left(self._ids, id)]
            case "post" if post is not None:
                self._keep(post, 0)
            case _:
                epoch = self._epoch
                there = await self._posts.true([id])
                if epoch == self._epoch:
                    for post, version in there.values():
                        self._keep(post, version)

    def _keep(self, post: Post, version: int) -> None:
        known = self._known.get(post.id)
        if post.id in self._gone or post.id <= self._floor or (known is not None and known[1] >= version):
            return
        self._known[post.id] = post, version
        if known is None:
            insort(self._ids, post.id)
            if len(self._ids) > 2 * NEWEST:
                self._raise_floor(self._ids[NEWEST - 1])

    def _raise_floor(self, floor: int) -> None:
        """Forget all posts up to an id, because some of them are not here."""
        below = bisect_right(self._ids, floor)
        for id in self._ids[:below]:
            del self._known[id]
        del self._ids[:below]
        self._floor = max(self._floor, floor)

    # Reading

    async def home(self, reader: UserId, page: Page, *, wait_s: float = 0.0) -> list[Post] | None:
        """Return a page of a reader's home; None: the truth has to be asked. Wait that long for the newest posts."""
        if wait_s and not self._ready and self._loading is not None and not self._loading.done():
            await asyncio.wait([self._loading], timeout=wait_s)
        if not self._ready or page.min_id is not None:
            return None
        followees = self._followees.get(reader)
        if followees is None:
            epoch = self._epoch
            followees = await self._read_followees(reader)
            if epoch != self._epoch or followees is None:
                return None
        known, ids, above = self._known, self._ids, page.since_id or 0
        at = len(ids) if page.max_id is None else bisect_left(ids, page.max_id)
        found: list[Post] = []
        for id in reversed(ids[max(0, at - SCANNED_MAX) : at]):
            if id <= above:
                return found
            post = known[id][0]
            if post.author in followees or post.author == reader:
                found.append(post)
                if len(found) == page.limit:
                    # The floor may have risen while the followees were read, but what is in the list lies above it.
                    return found
        return found if at <= SCANNED_MAX and self._floor <= above else None

    async def _read_followees(self, reader: UserId) -> frozenset[UserId] | None:
        epoch, changed = self._epoch, self._changed.get(reader, 0)
        few = await self._graph.few_followees(reader, FOLLOWEES_MAX)
        if few is None:
            return None
        followees = frozenset(few)
        if epoch == self._epoch and self._changed.get(reader, 0) == changed:
            if len(self._followees) >= READERS_MAX:
                self._followees.clear()
            self._followees[reader] = followees
        return followees
