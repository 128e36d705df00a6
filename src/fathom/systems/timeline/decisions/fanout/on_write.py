"""Push each post to every follower's feed when it is written: a read is one lookup, a star's post is a flood."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import ClassVar

from fathom.design import knob

from ...api import PAGE_POSTS_MAX, Page, PostId, Source, UserId
from ...stores.feeds import HIDDEN_MAX
from ...stores.graph import Edge
from ...stores.rows import TOP
from ...stores.turns import Turns
from . import WARM_READERS, Fanout, Scan

WARM_AT_ONCE = 2
REBUILDS_MAX = 5  # tries of one rebuild while the reader's edges keep changing; then the next read tries again


class OnWrite(Fanout):
    """Feeds in Redis, pushed to whoever came lately, complete down to a floor; below that, and for the rest, a pull."""

    source: ClassVar[Source] = "feed"

    cap: int = knob(800, "posts that a feed keeps")
    depth: int = knob(200, "posts that a feed begins with when it is made anew")
    chunk: int = knob(1_000, "followers that one piece of work pushes to")

    def __post_init__(self) -> None:
        super().__post_init__()
        self._turns = Turns()  # one change of a reader's feed at a time

    @property
    def _slack(self) -> int:
        """Pushes after which a feed is trimmed: not at every one, that would double them."""
        return max(1, self.cap // 4)

    # Writing

    async def deliver(self, author: UserId, post: PostId, after: UserId) -> UserId | None:
        generation = self.generation
        fans = await self.graph.fans(author, after, self.chunk + 1)  # one more: is there another piece?
        return await self._push(generation, fans, post)

    async def _push(self, generation: int, fans: Sequence[UserId], post: PostId) -> UserId | None:
        piece = fans[: self.chunk]
        for key in await self.feeds.push(generation, piece, post, self._slack):
            self._trim(key)
        self.progress.piece(post)
        return piece[-1] if len(fans) > self.chunk else None

    async def written(self, author: UserId, post: PostId) -> None:
        for key in await self.feeds.own(self.generation, author, post, self._slack):
            self._trim(key)

    def _trim(self, key: bytes) -> None:
        self.chores.once(("trim", key), lambda: self.feeds.trim(key, self.cap))

    # Reading

    async def home(self, reader: UserId, page: Page) -> Scan | None:
        feed = await self.feeds.read(self.feeds.key(self.generation, reader), page)
        if feed is None:
            self._rebuild(reader)
            return None
        self.feeds.came(self.generation, reader)
        ids, marks = feed.ids, feed.marks
        if marks.floor and (len(ids) < page.limit or page.min_id is not None):
            ids = await self._go_on(reader, page, ids, marks.floor)
        return Scan(ids, marks.hidden)

    async def _go_on(self, reader: UserId, page: Page, ids: list[PostId], floor: int) -> list[PostId]:
        """Return a page that reaches below the floor of a feed: from there on the truth has it."""
        above = max(page.since_id or 0, page.min_id or 0)
        if above >= floor:
            return ids
        if page.min_id is not None:  # the oldest above it are wanted, and these lie below the floor
            return await self.graph.pull(reader, page)
        if len(ids) == page.limit:
            return ids
        below = floor + 1 if page.max_id is None else min(floor + 1, page.max_id)
        rest = Page(limit=page.limit - len(ids), max_id=PostId(below), since_id=page.since_id)
        return ids + await self.graph.pull(reader, rest)

    # Making a feed

    def _rebuild(self, reader: UserId) -> None:
        generation = self.generation
        self.chores.once(("rebuild", generation, reader), lambda: self.rebuild(reader))

    async def rebuild(self, reader: UserId) -> bool:
        """Make a reader's feed from the truth; return False if that was not needed."""
        generation = self.generation
        key = self.feeds.key(generation, reader)
        async with self._turns.of(reader):
            if self not in self.generations.targets or await self.feeds.marks(key) is not None:
                return False  # another approach serves by now, or somebody was quicker
            for _ in range(REBUILDS_MAX):
                # Live first, then read: a post that is not in the snapshot is committed later, so its delivery finds
                # the reader live. It may come before `make`, which merges, or after.
                await self.feeds.begin(generation, reader)
                found = await self.graph.snapshot(reader, self.depth, generation)
                floor = found.ids[-1] - 1 if len(found.ids) == self.depth else 0
                await self.feeds.make(key, found.ids, floor, hidden=found.ended, stars=found.stars)
                # An edge or a star that changed after the snapshot was told to a feed that was not whole: again.
                if await self.graph.version(reader, generation) == (found.version, found.stars):
                    return True
            await self.feeds.drop(key)
            return True

    async def changed(self, reader: UserId, author: UserId) -> None:
        await self._agree(self.generation, reader, author)

    async def _agree(self, generation: int, reader: UserId, author: UserId) -> Edge:
        """Make a feed agree with an edge as it is now, and return that."""
        key = self.feeds.key(generation, reader)
        async with self._turns.of(reader):
            marks = await self.feeds.marks(key)
            # The truth is read after the turn has come, so whoever comes last tells the feed the latest.
            edge = await self.graph.edge(reader, author, marks.floor if marks else TOP, self.cap, generation)
            if marks is None:
                return edge  # whoever makes it whole looks at the edge afterwards, and it is committed
            if not edge.follows:
                await self.feeds.hide(key, author, edge.ids)
                if len(marks.hidden) >= HIDDEN_MAX:
                    await self.feeds.drop(key)
            else:
                raise_to = edge.ids[-1] - 1 if len(edge.ids) == self.cap else 0
                star = edge.mode in ("rising", "star")
                await self.feeds.show(key, author, edge.ids, star=star, raise_to=raise_to)
        return edge

    # In bulk

    async def warm(self, readers: Sequence[UserId]) -> None:
        if not self.generation:
            await self.begin()
        first_pages: set[PostId] = set()
        pieces = [readers[first : first + WARM_READERS] for first in range(0, len(readers), WARM_READERS)]
        async with self.feeds.aside():
            for first in range(0, len(pieces), WARM_AT_ONCE):  # one is read from the truth while another is written
                for seen in await asyncio.gather(*map(self._warm, pieces[first : first + WARM_AT_ONCE])):
                    first_pages |= seen
        await self.posts.warm(sorted(first_pages))

    async def _warm(self, readers: Sequence[UserId]) -> set[PostId]:
        """Make some readers' feeds; return the posts on their first pages."""
        await self.feeds.enlist(self.generation, readers)
        made = await self.graph.snapshots(readers, self.depth, self.generation)
        await self.feeds.warm(
            self.generation,
            [
                (reader, found.ids, found.ids[-1] - 1 if len(found.ids) == self.depth else 0, found.stars)
                for reader, found in zip(readers, made, strict=True)
            ],
        )
        return {id for found in made for id in found.ids[:PAGE_POSTS_MAX]}
